using Skep.Bpf.Kernel;

namespace Skep.Bpf.Maps;

public sealed unsafe partial class KernelMapStorage
{
    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">The map is not a mapped array: its values have no address in the process.</exception>
    public override byte* Find(byte* key)
    {
        // SAFETY: the mapping holds MaxEntries values of _stride bytes and lives until Dispose.
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        if (_memory is null)
        {
            throw new InvalidOperationException(
                $"The values of map '{Name}' ({Kind}) have no address in the process: use TryGet and Set, or an array with MapFlags.Mmapable.");
        }

        var index = *(uint*)key;
        return index < MaxEntries ? _memory + ((nuint)index * _stride) : null;
    }

    /// <inheritdoc/>
    public override int Update(byte* key, byte* value, ulong mode) => Write(new(key, KeySize), new(value, ValueSize), mode);

    /// <inheritdoc/>
    public override int Delete(byte* key) => Remove(new(key, KeySize));

    /// <inheritdoc/>
    public override int Read(ReadOnlySpan<byte> key, Span<byte> value)
    {
        Check(key.Length, KeySize, nameof(key));
        Check(value.Length, _valueBytes, nameof(value));
        using var lease = _handle.Borrow();
        fixed (byte* k = key)
        fixed (byte* v = value)
        {
            var attributes = new MapElemAttributes { Map = lease.Descriptor, Key = k, Value = v };
            return BpfSyscall.MapLookupElem(ref attributes);
        }
    }

    /// <inheritdoc/>
    public override int Write(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, ulong mode)
    {
        Check(key.Length, KeySize, nameof(key));
        Check(value.Length, _valueBytes, nameof(value));
        using var lease = _handle.Borrow();
        fixed (byte* k = key)
        fixed (byte* v = value)
        {
            var attributes = new MapElemAttributes { Map = lease.Descriptor, Key = k, Value = v, Flags = mode };
            return BpfSyscall.MapUpdateElem(ref attributes);
        }
    }

    /// <inheritdoc/>
    public override int Remove(ReadOnlySpan<byte> key)
    {
        Check(key.Length, KeySize, nameof(key));
        using var lease = _handle.Borrow();
        fixed (byte* k = key)
        {
            var attributes = new MapElemAttributes { Map = lease.Descriptor, Key = k };
            return BpfSyscall.MapDeleteElem(ref attributes);
        }
    }

    /// <inheritdoc/>
    public override int Take(ReadOnlySpan<byte> key, Span<byte> value)
    {
        Check(key.Length, KeySize, nameof(key));
        Check(value.Length, _valueBytes, nameof(value));
        int status;
        using (var lease = _handle.Borrow())
        {
            fixed (byte* k = key)
            fixed (byte* v = value)
            {
                var attributes = new MapElemAttributes { Map = lease.Descriptor, Key = k, Value = v };
                status = BpfSyscall.MapLookupAndDeleteElem(ref attributes);
            }
        }

        // Hash tables have it since 5.14, other kinds with keys not at all: there it takes two steps.
        return status is -NoSuchOperation or -Errno.Invalid && KeySize > 0 ? base.Take(key, value) : status;
    }

    /// <inheritdoc/>
    public override int WriteMap(ReadOnlySpan<byte> key, BpfMap inner, ulong mode)
    {
        if (!inner.IsBound)
        {
            inner.Bind(Create(inner));
        }

        if (inner.Storage is not KernelMapStorage storage)
        {
            throw new InvalidOperationException($"Map '{inner.Name}' lives in the process, under a twin: it cannot stand in a map of the kernel.");
        }

        return WriteHandle(key, storage._handle, mode);
    }

    /// <summary>User side: puts a kernel object, by its descriptor, into a map of such.</summary>
    internal int WriteHandle(ReadOnlySpan<byte> key, KernelHandle handle, ulong mode)
    {
        using var lease = handle.Borrow();
        var descriptor = lease.Descriptor;
        return Write(key, new ReadOnlySpan<byte>(&descriptor, sizeof(int)), mode);
    }

    /// <inheritdoc/>
    public override int NextKey(ReadOnlySpan<byte> key, Span<byte> next)
    {
        Check(next.Length, KeySize, nameof(next));
        if (!key.IsEmpty)
        {
            Check(key.Length, KeySize, nameof(key));
        }

        using var lease = _handle.Borrow();
        fixed (byte* k = key)
        fixed (byte* n = next)
        {
            var attributes = new MapElemAttributes { Map = lease.Descriptor, Key = k, Value = n };
            return BpfSyscall.MapGetNextKey(ref attributes);
        }
    }

    // The kernel trusts the sizes it knows: a shorter buffer would be overrun.
    private void Check(int actual, int expected, string parameter)
    {
        if (actual != expected)
        {
            throw new ArgumentException($"Map '{Name}' ({Kind}) takes {expected} bytes here, not {actual}.", parameter);
        }
    }
}
