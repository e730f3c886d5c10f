namespace Skep.Bpf.Features;

/// <summary>Something a kernel may lack.</summary>
public sealed record KernelFeature
{
    private readonly Func<BpfToken?, string?> _probe;

    internal KernelFeature(string name, Version minimumKernel, string use, Func<BpfToken?, string?> probe) =>
        (Name, MinimumKernel, Use, _probe) = (name, minimumKernel, use, probe);

    /// <summary>Name, unique in the table.</summary>
    public string Name { get; }

    /// <summary>First version that has it; a distribution may have it earlier, and a configuration may leave it out.</summary>
    public Version MinimumKernel { get; }

    /// <summary>What it is good for.</summary>
    public string Use { get; }

    /// <summary>Looks for the feature: null when it is there, else the reason why not.</summary>
    internal string? Probe(BpfToken? token) => _probe(token);
}

/// <summary>Whether the running kernel has a feature.</summary>
/// <param name="Name">Name of the feature.</param>
/// <param name="MinimumKernel">First version that has it.</param>
/// <param name="Available">Whether it can be used here, by this process.</param>
/// <param name="Reason">Why not; empty when it can.</param>
/// <param name="Use">What it is good for.</param>
public sealed record FeatureStatus(string Name, Version MinimumKernel, bool Available, string Reason, string Use)
{
    /// <summary>The kernel is new enough, yet the feature is missing: its configuration or a lock-down forbids it.</summary>
    public bool MissingByConfiguration => !Available && FeatureProbe.RunningKernel >= MinimumKernel;
}
