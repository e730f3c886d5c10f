using Skep.Bpf.Features;

namespace Skep.KernelTests.Features;

public class FeatureTests
{
    // Left out of some kernels by configuration, or refused by a lock-down: everything else is expected of a kernel that is new enough.
    private static readonly string[] s_optional =
    [
        "fentry", "fexit", "fmod_ret", "LSM", "kprobe", "kprobe.multi", "freplace", "lirc_mode2", "netkit link", "sched_ext", "kernel BTF", "JIT compiler",
    ];

    [KernelFact]
    public void A_kernel_that_is_new_enough_has_the_feature()
    {
        var missing = FeatureProbe.All().Where(f => f.MissingByConfiguration && !s_optional.Contains(f.Name)).Select(f => $"{f.Name}: {f.Reason}");

        Assert.Empty(missing);
    }

    [KernelFact]
    public void What_is_missing_has_a_reason_and_what_is_there_has_none() =>
        Assert.All(FeatureProbe.All(), f => Assert.Equal(f.Available, f.Reason.Length == 0));

    [KernelFact]
    public void Names_are_unique() => Assert.Equal(KernelFeatures.All.Count, KernelFeatures.All.Select(f => f.Name).Distinct().Count());
}
