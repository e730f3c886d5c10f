using System.Runtime.InteropServices;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Maps;

/// <summary>Which stack <see cref="StackTraceMap"/> takes, and what it does when a trace is there already (<c>BPF_F_*</c>).</summary>
[Flags]
public enum StackTraceFlags : ulong
{
    /// <summary>The kernel's; the number of another trace with the same hash is given as -EEXIST.</summary>
    None = 0,
    /// <summary>The process's.</summary>
    User = 1 << 8,
    /// <summary>Traces with the same hash count as the same.</summary>
    CompareByHash = 1 << 9,
    /// <summary>A new trace takes the place of another with the same hash.</summary>
    Replace = 1 << 10,
}

/// <summary>Stack traces under a number that is their hash (<c>BPF_MAP_TYPE_STACK_TRACE</c>, kernel 4.6).</summary>
public sealed class StackTraceMap : BpfMap
{
    /// <summary>Describes a map of traces.</summary>
    /// <param name="maxEntries">Traces.</param>
    /// <param name="depth">Frames of each; the kernel takes as many as <c>kernel.perf_event_max_stack</c>, 127 as a rule.</param>
    /// <param name="name">Name of the map.</param>
    public StackTraceMap(uint maxEntries, int depth = 127, string? name = null)
        : base(MapKind.StackTrace, sizeof(uint), checked(depth * sizeof(ulong)), maxEntries, MapFlags.None, name)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(depth, 1);
        Depth = depth;
    }

    /// <summary>Most frames of a trace.</summary>
    public int Depth { get; }

    /// <summary>Numbers of traces.</summary>
    public override Type KeyType => typeof(uint);

    /// <summary>Addresses.</summary>
    public override Type ValueType => typeof(ulong);

    /// <summary>Program side: takes the stack of this moment (<c>bpf_get_stackid</c>); its number, or a negative errno.</summary>
    /// <param name="context">The context of the program, one of tracing.</param>
    /// <param name="flags">Which stack; the lower eight bits are frames to leave out.</param>
    public int Collect<TContext>(ref TContext context, StackTraceFlags flags)
        where TContext : unmanaged => Collect(ref context, this, (ulong)flags);

    [KernelHelper(27)]
    private static int Collect<TContext>(ref TContext context, StackTraceMap map, ulong flags)
        where TContext : unmanaged => throw KernelEnvironment.NotInTwin("bpf_get_stackid");

    /// <summary>User side: reads the addresses of a trace, the innermost first; returns how many, 0 when there is no such trace.</summary>
    /// <param name="id">Its number.</param>
    /// <param name="frames">Takes them; as long as <see cref="Depth"/> or longer.</param>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public int Read(uint id, Span<ulong> frames)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(frames.Length, Depth, nameof(frames));
        var status = Storage.Read(MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in id)), MemoryMarshal.AsBytes(frames[..Depth]));
        if (status is not 0 and not -Errno.NoEntry)
        {
            throw BpfException.ForMap(this, "lookup", status);
        }

        var end = status == 0 ? frames[..Depth].IndexOf(0ul) : 0;
        return end < 0 ? Depth : end;
    }

    /// <summary>User side: removes a trace; false when there was none.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public bool Remove(uint id)
    {
        var status = Storage.Remove(MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in id)));
        return status switch
        {
            0 => true,
            -Errno.NoEntry => false,
            _ => throw BpfException.ForMap(this, "delete", status),
        };
    }
}
