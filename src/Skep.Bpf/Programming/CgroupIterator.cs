using System.Runtime.InteropServices;
using Skep.Bpf.KernelViews;

namespace Skep.Bpf.Programming;

/// <summary>
/// The kernel's iterator over control groups (<c>struct bpf_iter_css</c>, kernel 6.7). In the process it goes through the groups of the environment.
/// <code>
/// in the process   0 start:8   8 above:8   16 next:4   20 order:4
/// </code>
/// </summary>
[KernelStruct("bpf_iter_css", IsValue = true, OnStack = true)]
[StructLayout(LayoutKind.Sequential, Size = 24)]
internal unsafe struct CgroupIterator
{
    private CgroupState* _start;
    private CgroupState* _above;
    private int _next;
    private Order _order;

    /// <summary>Which groups, and in which order (<c>BPF_CGROUP_ITER_*</c>).</summary>
    internal enum Order : uint
    {
        Below = 2,
        Above = 4,
    }

    /// <summary>The address of a new variable on the program's stack.</summary>
    [LoopLowering(LoopWay.IteratorVariable)]
    internal static CgroupIterator* OnStack() => (CgroupIterator*)NativeMemory.AllocZeroed((nuint)sizeof(CgroupIterator));

    [KernelFunction("bpf_iter_css_new", Since = "6.7", Acquires = true)]
    internal static int Begin(CgroupIterator* iterator, CgroupState* start, Order order)
    {
        *iterator = new CgroupIterator { _start = start, _above = start, _order = order };
        return 0;
    }

    [KernelFunction("bpf_iter_css_next", Since = "6.7")]
    internal static CgroupState* Next(CgroupIterator* iterator)
    {
        if (iterator->_order == Order.Above)
        {
            var state = iterator->_above;
            iterator->_above = state == null ? null : state->Parent;
            return state;
        }

        var groups = KernelEnvironment.Current.Cgroups;
        while (iterator->_next < groups.Count)
        {
            var state = &((Cgroup*)groups[iterator->_next++])->Self;
            for (var above = state; above != null; above = above->Parent)
            {
                if (above == iterator->_start)
                {
                    return state;
                }
            }
        }

        return null;
    }

    [KernelFunction("bpf_iter_css_destroy", Since = "6.7", Releases = true)]
    internal static void End(CgroupIterator* iterator) => NativeMemory.Free(iterator);
}
