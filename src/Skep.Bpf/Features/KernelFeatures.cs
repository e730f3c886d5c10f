using Skep.Bpf.Asm;
using Skep.Bpf.Btf;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Features;

/// <summary>The table of what Skep asks of a kernel: name, first version, what for, and how to find out.</summary>
public static class KernelFeatures
{
    // Every kind of program is a feature under the same name.
    private static readonly KernelFeature[] s_kinds =
    [
        .. ProgramKinds.All.Select(static kind => new KernelFeature(kind.Name, kind.MinimumKernel, kind.Use, Probes.Program(kind))),
    ];

    /// <summary>Type information of the kernel itself.</summary>
    public static KernelFeature KernelBtf { get; } = Of("kernel BTF", "5.4", "typed tracepoints, kernel structs", Probes.PathExists("/sys/kernel/btf/vmlinux"));

    /// <summary>XDP programs.</summary>
    public static KernelFeature Xdp { get; } = Of(ProgramType.Xdp);

    /// <summary>XDP by link.</summary>
    public static KernelFeature XdpLink { get; } = Of("XDP link", "5.9", "atomic exchange, pins; netlink before", Probes.Btf("bpf_xdp_link", BtfKind.Struct));

    /// <summary>TC programs.</summary>
    public static KernelFeature Tc { get; } = Of(ProgramType.SchedCls);

    /// <summary>TC by tcx link.</summary>
    public static KernelFeature TcxLink { get; } = Of("tcx link", "6.6", "several programs in order, pins; clsact before", Probes.TcxLink);

    /// <summary>Raw tracepoints with typed arguments.</summary>
    public static KernelFeature TypedTracepoints { get; } = Of(ProgramType.Tracing);

    /// <summary>Ring buffers.</summary>
    public static KernelFeature RingBuffer { get; } = Of("ring buffer", "5.8", "events in order from all CPUs", Probes.Map(27, 0, 0, 4096));

    /// <summary>Batch calls on maps.</summary>
    public static KernelFeature MapBatches { get; } = Of("map batches", "5.6", "reading and filling large maps", Probes.Batches);

    /// <summary>Arrays mapped into the process.</summary>
    public static KernelFeature MappedArrays { get; } = Of(
        "mapped array", "5.5", "globals without system calls", Probes.Map(2, 4, 8, 1, MapFlags.Mmapable));

    /// <summary>Instruction set level 3.</summary>
    public static KernelFeature Isa3 { get; } = Of(
        "instruction set v3", "5.1", "32-bit jumps", Probes.Code(new(0xb7, 0, 0, 0, 0), new(0x16, 0, 0, 0, 0)));

    /// <summary>Atomic operations that return a value.</summary>
    public static KernelFeature AtomicFetch { get; } = Of(
        "atomic fetch", "5.12", "exchange and compare in maps",
        Probes.Code(new(0x7a, 10, 0, -8, 0), new(0xb7, 1, 0, 0, 1), new(0xdb, 10, 1, -8, OpCodes.AtomicAdd | OpCodes.AtomicFetch)));

    /// <summary>Instruction set level 4.</summary>
    public static KernelFeature Isa4 { get; } = Of(
        "instruction set v4", "6.6", "sign extension, byte swap, long jumps", Probes.Code(new(0xb7, 1, 0, 0, 1), new(0xbf, 1, 1, 8, 0)));

    /// <summary>All of them, in the order in which they are shown.</summary>
    public static IReadOnlyList<KernelFeature> All { get; } =
    [
        KernelBtf,
        Of("JIT compiler", "3.16", "machine code instead of an interpreter", Probes.Jit),
        Isa3, AtomicFetch, Isa4,
        Xdp, XdpLink, Tc, TcxLink, TypedTracepoints,
        .. s_kinds.Where(static k => k.Name != Xdp.Name && k.Name != Tc.Name && k.Name != TypedTracepoints.Name),
        Of("netkit link", "6.7", "devices of containers", Probes.Btf("netkit_link", BtfKind.Struct)),
        Of("sched_ext", "6.12", "scheduling in programs", Probes.Btf("sched_ext_ops", BtfKind.Struct)),
        RingBuffer, MapBatches, MappedArrays,
        Of("LRU hash", "4.10", "tables that forget the oldest", Probes.Map(9, 4, 4, 1)),
        Of("per-CPU array", "4.6", "counters without contention", Probes.Map(6, 4, 8, 1)),
        Of("LPM trie", "4.11", "address prefixes", Probes.Map(11, 8, 4, 1, MapFlags.NoPrealloc)),
        Of("sockmap", "4.14", "redirection between sockets", Probes.Map(15, 4, 4, 1)),
        Of("device map", "4.14", "XDP to another interface", Probes.Map(14, 4, 4, 1)),
        Of("CPU map", "4.15", "XDP to another CPU", Probes.Map(16, 4, 4, 1)),
        Of("XSK map", "4.18", "packets to AF_XDP sockets", Probes.Map(17, 4, 4, 1)),
        Of("bloom filter", "5.16", "fast tests of membership", Probes.Map(30, 0, 4, 1)),
        Of("user ring buffer", "6.1", "events to programs", Probes.Map(31, 0, 0, 4096)),
        Of("arena", "6.9", "memory shared with the process", Probes.Map(33, 0, 0, 1, MapFlags.Mmapable)),
        Of("timers", "5.15", "work later", Probes.HelperCall("timer_init")),
        Of("bounded loops by helper", "5.17", "long loops that verify fast", Probes.HelperCall("loop")),
        Of("coarse clock", "5.11", "cheap time stamps", Probes.HelperCall("ktime_get_coarse_ns")),
    ];

    /// <summary>The feature of a kind of program.</summary>
    public static KernelFeature For(ProgramKind kind)
    {
        ArgumentNullException.ThrowIfNull(kind);
        return s_kinds.First(feature => feature.Name == kind.Name);
    }

    private static KernelFeature Of(ProgramType type) => For(ProgramKinds.All.First(kind => kind.Type == type));

    private static KernelFeature Of(string name, string minimum, string use, Func<BpfToken?, string?> probe) =>
        new(name, Version.Parse(minimum), use, probe);
}
