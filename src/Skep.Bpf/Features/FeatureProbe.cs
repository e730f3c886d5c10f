using System.Collections.Concurrent;

namespace Skep.Bpf.Features;

/// <summary>Finds out what the running kernel offers to this process. Each feature is probed once.</summary>
public static class FeatureProbe
{
    private static readonly ConcurrentDictionary<KernelFeature, FeatureStatus> s_results = new();

    /// <summary>Version of the running kernel.</summary>
    public static Version RunningKernel { get; } = Environment.OSVersion.Version;

    /// <summary>All features of the table, in its order.</summary>
    /// <param name="token">Probe what this permission gives, which is not remembered; null for what the process may by its capabilities.</param>
    public static IReadOnlyList<FeatureStatus> All(BpfToken? token = null) => [.. KernelFeatures.All.Select(feature => Get(feature, token))];

    /// <summary>Every helper and kernel function that methods of this library call, by name.</summary>
    public static IReadOnlyList<FeatureStatus> Calls() => [.. KernelFeatures.Calls.Select(static feature => Get(feature))];

    /// <summary>The status of one feature.</summary>
    /// <param name="feature">The feature.</param>
    /// <param name="token">Probe what this permission gives, which is not remembered; null for what the process may by its capabilities.</param>
    public static FeatureStatus Get(KernelFeature feature, BpfToken? token = null)
    {
        ArgumentNullException.ThrowIfNull(feature);
        return token is null ? s_results.GetOrAdd(feature, static probed => Probe(probed, null)) : Probe(feature, token);
    }

    /// <summary>Whether the feature can be used here, by this process.</summary>
    public static bool IsAvailable(KernelFeature feature) => Get(feature).Available;

    private static FeatureStatus Probe(KernelFeature feature, BpfToken? token)
    {
        var obstacle = feature.Probe(token);
        var old = RunningKernel < feature.MinimumKernel ? $" (kernel {RunningKernel.ToString(2)} is older than {feature.MinimumKernel})" : "";
        return new FeatureStatus(feature.Name, feature.MinimumKernel, obstacle is null, obstacle is null ? "" : obstacle + old, feature.Use);
    }
}
