using System.Runtime.InteropServices;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Maps;

/// <summary>
/// A value that belongs to a socket, task, inode or cgroup: it is found without a key, and goes with its owner. The process names the owner by
/// a descriptor; programs by a pointer to the kernel's object.
/// </summary>
public abstract unsafe class LocalStorage<T> : BpfMap
    where T : unmanaged
{
    /// <summary><c>BPF_LOCAL_STORAGE_GET_F_CREATE</c>.</summary>
    private protected const ulong Create = 1;

    private protected LocalStorage(MapKind kind, MapFlags flags, string? name)
        : base(kind, sizeof(int), SizeOf<T>(), 0, flags | MapFlags.NoPrealloc, name)
    {
    }

    /// <summary>Descriptors.</summary>
    public sealed override Type KeyType => typeof(int);

    /// <inheritdoc/>
    public sealed override Type ValueType => typeof(T);

    /// <summary>User side: reads the value of the owner; false when it has none.</summary>
    /// <param name="owner">Open descriptor of the socket, process (pidfd), file or cgroup directory.</param>
    /// <param name="value">The value.</param>
    /// <exception cref="BpfException">EBADF: it is a descriptor of something else.</exception>
    public bool TryGet(SafeHandle owner, out T value)
    {
        value = default;
        using var key = new DescriptorKey(owner);
        var status = Storage.Read(key.Bytes, MemoryMarshal.AsBytes(new Span<T>(ref value)));
        return status switch
        {
            0 => true,
            -Errno.NoEntry => false,
            _ => throw BpfException.ForMap(this, "lookup", status),
        };
    }

    /// <summary>User side: gives the owner a value.</summary>
    /// <exception cref="BpfException">EBADF: it is a descriptor of something else.</exception>
    public void Set(SafeHandle owner, in T value)
    {
        using var key = new DescriptorKey(owner);
        var status = Storage.Write(key.Bytes, MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)), (ulong)UpdateMode.Any);
        if (status < 0)
        {
            throw BpfException.ForMap(this, "update", status);
        }
    }

    /// <summary>User side: takes the owner's value away; false when it had none.</summary>
    /// <exception cref="BpfException">EBADF: it is a descriptor of something else.</exception>
    public bool Remove(SafeHandle owner)
    {
        using var key = new DescriptorKey(owner);
        var status = Storage.Remove(key.Bytes);
        return status switch
        {
            0 => true,
            -Errno.NoEntry => false,
            _ => throw BpfException.ForMap(this, "delete", status),
        };
    }

    private protected ref T Local(void* owner, T* initial, ulong flags) => ref *(T*)Storage.FindLocal(owner, (byte*)initial, (flags & Create) != 0);

    private protected int RemoveLocal(void* owner) => Storage.RemoveLocal(owner);
}

/// <summary>A descriptor as a key, kept open while the call lasts.</summary>
internal readonly ref struct DescriptorKey
{
    private readonly SafeHandle _owner;
    private readonly int _descriptor;

    internal DescriptorKey(SafeHandle owner)
    {
        ArgumentNullException.ThrowIfNull(owner);
        var added = false;
        owner.DangerousAddRef(ref added);
        _owner = owner;
        _descriptor = (int)owner.DangerousGetHandle();
    }

    [System.Diagnostics.CodeAnalysis.UnscopedRef]
    internal ReadOnlySpan<byte> Bytes => MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in _descriptor));

    public void Dispose() => _owner.DangerousRelease();
}
