using System.Runtime.InteropServices;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Maps;

/// <summary>A map of values without keys.</summary>
public abstract unsafe class KeylessMap<T> : BpfMap
    where T : unmanaged
{
    private protected KeylessMap(MapKind kind, uint maxEntries, MapFlags flags, string? name)
        : base(kind, 0, SizeOf<T>(), maxEntries, flags, name)
    {
    }

    /// <summary>Null: there are no keys.</summary>
    public sealed override Type? KeyType => null;

    /// <inheritdoc/>
    public sealed override Type ValueType => typeof(T);

    /// <summary>Program side: adds a copy of <paramref name="value"/> (<c>bpf_map_push_elem</c>, kernel 4.20). 0 or a negative errno.</summary>
    /// <param name="value">What to add.</param>
    /// <param name="mode"><see cref="UpdateMode.Any"/> refuses when full (E2BIG); <see cref="UpdateMode.Exist"/> then drops the oldest of a queue or stack.</param>
    [KernelHelper(87, Since = "4.20")]
    public int Push(in T value, UpdateMode mode)
    {
        fixed (T* v = &value)
        {
            return Storage.Push((byte*)v, (ulong)mode);
        }
    }

    /// <summary>User side: as <see cref="Push"/>, from the process.</summary>
    private protected int Add(in T value, UpdateMode mode) =>
        Storage.Write(default, MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)), (ulong)mode);

    /// <summary>User side: turns the status of a read into whether there was something.</summary>
    private protected bool Found(int status, string operation) => status switch
    {
        0 => true,
        -Errno.NoEntry => false,
        _ => throw BpfException.ForMap(this, operation, status),
    };
}
