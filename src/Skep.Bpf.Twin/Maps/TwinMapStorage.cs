using System.Diagnostics.CodeAnalysis;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Twin.Maps;

/// <summary>
/// A map's entries inside the process, with the kernel's semantics and error numbers.
/// Program-side members run under the twin, which runs one program at a time; user-side members may be called from any thread
/// and wait for the packet that is being processed.
/// </summary>
public abstract unsafe class TwinMapStorage : MapStorage
{
    private readonly (int Offset, int Size)[] _kernelFields;

    private protected TwinMapStorage(BpfMap map, TwinEnvironment environment, Lock gate)
    {
        Environment = environment;
        Gate = gate;
        KeySize = map.KeySize;
        ValueSize = map.ValueSize;
        MaxEntries = map.MaxEntries;
        IsPerCpu = map.Kind is MapKind.PerCpuHash or MapKind.LruPerCpuHash or MapKind.PerCpuArray;

        _kernelFields = KernelFields.Of(map.ValueType);

        // The kernel rounds values up to eight bytes in memory, and between CPUs on the user side; not between batch entries of plain kinds.
        ValueStride = (ValueSize + 7) & ~7;
        UserValueSize = IsPerCpu ? ValueStride * environment.Cpus : ValueSize;
    }

    /// <inheritdoc/>
    public sealed override int ValuesPerEntry => IsPerCpu ? Environment.Cpus : 1;

    /// <summary>Entries present; bytes waiting for ring buffers.</summary>
    public abstract uint Count { get; }

    /// <summary>Whether the storage was disposed of; every operation then throws.</summary>
    public bool IsDisposed { get; private protected set; }

    internal Lock Gate { get; }

    private protected TwinEnvironment Environment { get; }

    private protected int KeySize { get; }

    private protected int ValueSize { get; }

    private protected int ValueStride { get; }

    private protected int UserValueSize { get; }

    private protected uint MaxEntries { get; }

    private protected bool IsPerCpu { get; }

    /// <summary>Storage for <paramref name="map"/>, empty.</summary>
    internal static TwinMapStorage Create(BpfMap map, TwinEnvironment environment, Lock gate) => map.Kind switch
    {
        MapKind.Array or MapKind.PerCpuArray => new TwinArrayStorage(map, environment, gate),
        MapKind.LpmTrie => new TwinTrieStorage(map, environment, gate),
        MapKind.RingBuffer => new TwinRingStorage(map, environment, gate),
        MapKind.UserRingBuffer => new TwinUserRingStorage(map, environment, gate),
        MapKind.Hash or MapKind.LruHash or MapKind.PerCpuHash or MapKind.LruPerCpuHash => map.KeySize switch
        {
            4 => new TwinHashStorage<Key4>(map, environment, gate),
            8 => new TwinHashStorage<Key8>(map, environment, gate),
            16 => new TwinHashStorage<Key16>(map, environment, gate),
            > 8 => new TwinHashStorage<LongKey>(map, environment, gate),
            _ => new TwinHashStorage<ShortKey>(map, environment, gate),
        },
        MapKind.Queue or MapKind.Stack => new TwinQueueStorage(map, environment, gate),
        MapKind.BloomFilter => new TwinBloomStorage(map, map.CreationExtra is 0 ? 5 : (int)map.CreationExtra & 15, environment, gate),
        MapKind.ArrayOfMaps or MapKind.HashOfMaps when map.InnerTemplate is { } template => new TwinMapOfMapsStorage(map, template, environment, gate),
        MapKind.ProgramArray when map is ProgramArray programs => new TwinProgramStorage(programs, environment, gate),
        MapKind.DevMap or MapKind.DevMapHash or MapKind.CpuMap => new TwinRedirectStorage(map, environment, gate),
        MapKind.SkStorage or MapKind.TaskStorage or MapKind.InodeStorage or MapKind.CgroupStorage
            or MapKind.CgroupStorageDeprecated => new TwinLocalStorage(map, environment, gate),
        MapKind.PerfEventArray => new TwinPerfStorage(map, environment, gate),
        MapKind.Arena => new TwinArenaStorage(map, environment, gate),
        _ => throw new NotSupportedException($"The twin has no map of kind {map.Kind}: what it holds exists in the kernel only."),
    };

    /// <inheritdoc/>
    public sealed override int Read(ReadOnlySpan<byte> key, Span<byte> value)
    {
        RequireAtLeast(key.Length, KeySize, nameof(key));
        RequireAtLeast(value.Length, UserValueSize, nameof(value));
        fixed (byte* k = key)
        fixed (byte* v = value)
        {
            lock (Gate)
            {
                RequireLive();
                return ReadEntry(k, v);
            }
        }
    }

    /// <inheritdoc/>
    public sealed override int Write(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, ulong mode)
    {
        RequireAtLeast(key.Length, KeySize, nameof(key));
        RequireAtLeast(value.Length, UserValueSize, nameof(value));
        fixed (byte* k = key)
        fixed (byte* v = value)
        {
            lock (Gate)
            {
                RequireLive();
                return WriteEntry(k, v, mode);
            }
        }
    }

    /// <inheritdoc/>
    public sealed override int Remove(ReadOnlySpan<byte> key)
    {
        RequireAtLeast(key.Length, KeySize, nameof(key));
        fixed (byte* k = key)
        {
            lock (Gate)
            {
                RequireLive();
                return Delete(k);
            }
        }
    }

    /// <inheritdoc/>
    public sealed override int Take(ReadOnlySpan<byte> key, Span<byte> value)
    {
        RequireAtLeast(key.Length, KeySize, nameof(key));
        RequireAtLeast(value.Length, UserValueSize, nameof(value));
        fixed (byte* k = key)
        fixed (byte* v = value)
        {
            lock (Gate)
            {
                RequireLive();
                return TakeEntry(k, v);
            }
        }
    }

    /// <inheritdoc/>
    public sealed override int NextKey(ReadOnlySpan<byte> key, Span<byte> next)
    {
        if (!key.IsEmpty)
        {
            RequireAtLeast(key.Length, KeySize, nameof(key));
        }

        RequireAtLeast(next.Length, KeySize, nameof(next));

        // 'fixed' on an empty span gives null, which is how the kernel is asked for the first key.
        fixed (byte* k = key)
        fixed (byte* n = next)
        {
            lock (Gate)
            {
                RequireLive();
                return NextEntry(k, n);
            }
        }
    }

    /// <inheritdoc/>
    public sealed override int ReadBatch(ref ulong cursor, Span<byte> keys, Span<byte> values, int capacity, out bool done)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        RequireAtLeast(keys.Length, (long)capacity * KeySize, nameof(keys));
        RequireAtLeast(values.Length, (long)capacity * UserValueSize, nameof(values));
        fixed (byte* k = keys)
        fixed (byte* v = values)
        {
            lock (Gate)
            {
                RequireLive();
                return ReadEntries(ref cursor, k, v, capacity, out done);
            }
        }
    }

    /// <summary>Finds the live entry whose value the address lies in, where it stays until the next change; false when there is none, or the kind has no such.</summary>
    internal virtual bool TryLocate(byte* inside, out byte* key, out byte* value)
    {
        key = null;
        value = null;
        return false;
    }

    private protected abstract int ReadEntry(byte* key, byte* value);

    private protected virtual int TakeEntry(byte* key, byte* value)
    {
        var status = ReadEntry(key, value);
        return status == 0 ? Delete(key) : status;
    }

    private protected abstract int WriteEntry(byte* key, byte* value, ulong mode);

    private protected abstract int NextEntry(byte* key, byte* next);

    private protected abstract int ReadEntries(ref ulong cursor, byte* keys, byte* values, int capacity, out bool done);

    private protected static void Copy(byte* source, byte* target, int size) => Buffer.MemoryCopy(source, target, size, size);

    /// <summary>Copies a value in memory to the user side: one, or one per CPU, where padding is zero.</summary>
    private protected void CopyOut(byte* entryValue, byte* userValue)
    {
        Copy(entryValue, userValue, UserValueSize);
        for (var i = 0; i < ValuesPerEntry && _kernelFields.Length > 0; i++)
        {
            Empty(userValue + (i * ValueStride));
        }
    }

    /// <summary>Copies one value; what of it is the kernel's is empty in the copy.</summary>
    private protected void CopyValue(byte* source, byte* target)
    {
        Copy(source, target, ValueSize);
        if (_kernelFields.Length > 0)
        {
            Empty(target);
        }
    }

    /// <summary>Copies a value from the user side: one, or one per CPU, padding left zero.</summary>
    private protected void CopyIn(byte* userValue, byte* entryValue)
    {
        for (var i = 0; i < ValuesPerEntry; i++)
        {
            CopyValue(userValue + (i * ValueStride), entryValue + (i * ValueStride));
        }
    }

    private void Empty(byte* value)
    {
        foreach (var (offset, size) in _kernelFields)
        {
            new Span<byte>(value + offset, size).Clear();
        }
    }

    private protected void RequireLive()
    {
        if (IsDisposed)
        {
            ThrowDisposed();
        }
    }

    [DoesNotReturn]
    private protected void ThrowDisposed() => throw new ObjectDisposedException(GetType().Name, "The map was disposed of.");

    private static void RequireAtLeast(int length, long needed, string what)
    {
        if (length < needed)
        {
            throw new ArgumentException($"The span holds {length} bytes where the map needs {needed}.", what);
        }
    }
}
