using Skep.Bpf.KernelViews;

namespace Skep.Bpf.Programming;

/// <summary>
/// Control groups by number, and those below and above one in a loop (<c>foreach</c>, kernel 6.7), in programs that do not sleep. In the process the groups are those of
/// <see cref="KernelEnvironment.Cgroups"/>; the bytecode interpreter has none.
/// </summary>
public static unsafe class Cgroups
{
    /// <summary>The group with a number (<c>bpf_cgroup_from_id</c>), or null: what is not null must be given back by <see cref="Release"/>.</summary>
    /// <param name="id">Its number; 1 is the root.</param>
    [KernelFunction("bpf_cgroup_from_id", Since = "6.4", Acquires = true)]
    public static Cgroup* Find(ulong id)
    {
        foreach (var address in KernelEnvironment.Current.Cgroups)
        {
            if (((Cgroup*)address)->Directory->Id == id)
            {
                return (Cgroup*)address;
            }
        }

        return null;
    }

    /// <summary>Gives a group back (<c>bpf_cgroup_release</c>).</summary>
    /// <param name="group">What <see cref="Find"/> gave.</param>
    [KernelFunction("bpf_cgroup_release", Since = "6.2", Releases = true)]
    public static void Release(Cgroup* group) => _ = group;

    /// <summary>The group and all below it, each before those below it.</summary>
    /// <param name="group">What <see cref="Find"/> gave, not null.</param>
    public static CgroupSweep Below(Cgroup* group) => new(group, CgroupIterator.Order.Below);

    /// <summary>The group and those it lies in, up to the root.</summary>
    /// <param name="group">What <see cref="Find"/> gave, not null.</param>
    public static CgroupSweep Above(Cgroup* group) => new(group, CgroupIterator.Order.Above);
}
