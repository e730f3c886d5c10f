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

    // And every kind of map.
    private static readonly KernelFeature[] s_maps =
    [
        .. MapKinds.All.Select(static row => new KernelFeature(row.Name, row.MinimumKernel, row.Use, Probes.Map(row))),
    ];

    // Found by looking through the library, which who asks about one feature need not wait for.
    private static readonly Lazy<IReadOnlyList<KernelFeature>> s_calls = new(KernelCalls.All);

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
    public static KernelFeature RingBuffer { get; } = For(MapKind.RingBuffer);

    /// <summary>Batch calls on maps.</summary>
    public static KernelFeature MapBatches { get; } = Of("map batches", "5.6", "reading and filling large maps", Probes.Batches);

    /// <summary>Arrays mapped into the process.</summary>
    public static KernelFeature MappedArrays { get; } = Of(
        "mapped array", "5.5", "globals without system calls", Probes.Map(static () => new Global<ulong>()));

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
        .. s_maps, MapBatches, MappedArrays,
        Of("timers", "5.15", "work later", Probes.HelperCall("timer_init")),
        Of("bounded loops by helper", "5.17", "long loops that verify fast", Probes.HelperCall("loop")),
        Of("coarse clock", "5.11", "cheap time stamps", Probes.HelperCall("ktime_get_coarse_ns")),
        Of("dynptrs", "5.19", "records of any size in ring buffers", Probes.HelperCall("ringbuf_reserve_dynptr")),
        Of("packet dynptrs", "6.4", "packets at any offset, fragments included", Probes.Btf("bpf_dynptr_from_xdp", BtfKind.Function)),
        Of("number iterator", "6.4", "long loops without a function", Probes.Btf("bpf_iter_num_new", BtfKind.Function)),
        Of("task iterator", "6.7", "the tasks of the host in a loop", Probes.Btf("bpf_iter_task_new", BtfKind.Function)),
        Of("control group iterator", "6.7", "control groups in a loop", Probes.Btf("bpf_iter_css_new", BtfKind.Function)),
        Of("may_goto", "6.9", "loops that the kernel breaks off", Probes.Code(new(0xb7, 0, 0, 0, 0), new(0xe5, 0, 0, 0, 0))),
        Of("work queues", "6.10", "work later that may sleep", Probes.Btf("bpf_wq_start", BtfKind.Function)),
    ];

    /// <summary>Every helper and kernel function that methods of this library call, under its name in the kernel; what it is good for is the method.</summary>
    public static IReadOnlyList<KernelFeature> Calls => s_calls.Value;

    /// <summary>The feature of a kind of program.</summary>
    public static KernelFeature For(ProgramKind kind)
    {
        ArgumentNullException.ThrowIfNull(kind);
        return s_kinds.First(feature => feature.Name == kind.Name);
    }

    /// <summary>The feature of a kind of map.</summary>
    public static KernelFeature For(MapKind kind) => s_maps.First(feature => feature.Name == MapKinds.Of(kind).Name);

    private static KernelFeature Of(ProgramType type) => For(ProgramKinds.All.First(kind => kind.Type == type));

    private static KernelFeature Of(string name, string minimum, string use, Func<BpfToken?, string?> probe) =>
        new(name, Version.Parse(minimum), use, probe);
}
