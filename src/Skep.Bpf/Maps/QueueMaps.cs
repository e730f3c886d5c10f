using System.Runtime.InteropServices;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Maps;

/// <summary>Values that wait in an order, first in first out (<c>BPF_MAP_TYPE_QUEUE</c>, kernel 4.20).</summary>
public sealed class QueueMap<T>(uint maxEntries, string? name = null, MapFlags flags = MapFlags.None)
    : WaitingMap<T>(MapKind.Queue, maxEntries, flags, name)
    where T : unmanaged;

/// <summary>Values that wait in an order, last in first out (<c>BPF_MAP_TYPE_STACK</c>, kernel 4.20).</summary>
public sealed class StackMap<T>(uint maxEntries, string? name = null, MapFlags flags = MapFlags.None)
    : WaitingMap<T>(MapKind.Stack, maxEntries, flags, name)
    where T : unmanaged;

/// <summary>A queue or stack: programs and process put values in and take the next one out.</summary>
public abstract unsafe class WaitingMap<T> : KeylessMap<T>
    where T : unmanaged
{
    private protected WaitingMap(MapKind kind, uint maxEntries, MapFlags flags, string? name)
        : base(kind, maxEntries, flags, name)
    {
    }

    /// <summary>Program side: takes the next value (<c>bpf_map_pop_elem</c>). 0, or -ENOENT when there is none; the value is then zero.</summary>
    [KernelHelper(88, Since = "4.20")]
    public int Pop(out T value)
    {
        fixed (T* v = &value)
        {
            return Storage.Pop((byte*)v);
        }
    }

    /// <summary>Program side: copies the next value and leaves it (<c>bpf_map_peek_elem</c>). 0, or -ENOENT when there is none; the value is then zero.</summary>
    [KernelHelper(89, Since = "4.20")]
    public int Peek(out T value)
    {
        fixed (T* v = &value)
        {
            return Storage.Peek((byte*)v);
        }
    }

    /// <summary>User side: adds a value; false when the map is full. With <paramref name="dropOldest"/> there is always room.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public bool TryAdd(in T value, bool dropOldest = false)
    {
        var status = Add(in value, dropOldest ? UpdateMode.Exist : UpdateMode.Any);
        return status switch
        {
            0 => true,
            -Errno.TooBig => false,
            _ => throw BpfException.ForMap(this, "push", status),
        };
    }

    /// <summary>User side: takes the next value; false when there is none.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public bool TryTake(out T value)
    {
        value = default;
        return Found(Storage.Take(default, MemoryMarshal.AsBytes(new Span<T>(ref value))), "pop");
    }

    /// <summary>User side: copies the next value and leaves it; false when there is none.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public bool TryPeek(out T value)
    {
        value = default;
        return Found(Storage.Read(default, MemoryMarshal.AsBytes(new Span<T>(ref value))), "peek");
    }
}
