using Skep.Bpf.Features;

namespace Skep.KernelTests.Features;

public class FeatureTests
{
    public static TheoryData<string> Features => [.. KernelFeatures.All.Concat(KernelFeatures.Calls).Select(static feature => feature.Name)];

    [KernelTheory]
    [MemberData(nameof(Features))]
    public void A_kernel_that_is_new_enough_has_the_feature(string name)
    {
        var status = FeatureProbe.Get(KernelFeatures.All.Concat(KernelFeatures.Calls).First(feature => feature.Name == name));

        // Left out by configuration, or refused by a lock-down; what that cannot explain is a fault of the probe or of the table.
        Assert.True(status.Available || !status.MissingByConfiguration || Kernel.MayLack(name), $"{name}: {status.Reason}");
        Assert.Equal(status.Available, status.Reason.Length == 0);
    }

    [KernelFact]
    public void Names_are_unique()
    {
        Assert.Equal(KernelFeatures.All.Count, KernelFeatures.All.Select(f => f.Name).Distinct().Count());
        Assert.Equal(KernelFeatures.Calls.Count, KernelFeatures.Calls.Select(f => f.Name).Distinct().Count());
        Assert.True(KernelFeatures.Calls.Count > 60, $"{KernelFeatures.Calls.Count} calls");
    }
}
