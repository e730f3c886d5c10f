using System.Collections.Concurrent;

namespace Skep.Bpf.Features;

/// <summary>Finds out what the running kernel offers to this process. Each feature is probed once.</summary>
public static class FeatureProbe
{
    private static readonly ConcurrentDictionary<KernelFeature, FeatureStatus> s_results = new();

    /// <summary>Version of the running kernel.</summary>
    public static Version RunningKernel { get; } = Environment.OSVersion.Version;

    /// <summary>All features of the table, in its order.</summary>
    public static IReadOnlyList<FeatureStatus> All() => [.. KernelFeatures.All.Select(Get)];

    /// <summary>The status of one feature.</summary>
    public static FeatureStatus Get(KernelFeature feature)
    {
        ArgumentNullException.ThrowIfNull(feature);
        return s_results.GetOrAdd(feature, static probed =>
        {
            var obstacle = probed.Probe();
            var old = RunningKernel < probed.MinimumKernel ? $" (kernel {RunningKernel.ToString(2)} is older than {probed.MinimumKernel})" : "";
            return new FeatureStatus(probed.Name, probed.MinimumKernel, obstacle is null, obstacle is null ? "" : obstacle + old, probed.Use);
        });
    }

    /// <summary>Whether the feature can be used here, by this process.</summary>
    public static bool IsAvailable(KernelFeature feature) => Get(feature).Available;
}
