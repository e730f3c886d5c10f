namespace Skep.Balancing.Adaptive;

/// <summary>How the weights of a service are to follow its traffic and the state of its backends.</summary>
public sealed record ServicePolicy
{
    /// <summary>Weights stay as they are declared.</summary>
    public static ServicePolicy Static { get; } = new();

    /// <summary>Weights follow latency and requests in flight; null for not.</summary>
    public AdaptivePolicy? Adaptive { get; init; }

    /// <summary>Backends that fail are taken out for a while; null for not.</summary>
    public OutlierPolicy? Outliers { get; init; }

    /// <summary>Time in which a backend that is new, healthy again or back from an ejection grows to its full weight; zero for at once.</summary>
    public TimeSpan SlowStart { get; init; }

    /// <summary>Share of new connections that the canary backends get together, 0 to 1; null when nobody is one.</summary>
    public double? CanaryShare { get; init; }

    /// <summary>Zone whose backends are preferred; null for none.</summary>
    public string? PreferredZone { get; init; }

    /// <summary>Share of the weight that must be alive, 0 to 1; with less, dead backends are used like living ones.</summary>
    public double PanicThreshold { get; init; }

    /// <summary>What happens when no backend is alive.</summary>
    public WhenAllDead WhenAllDead { get; init; }

    /// <summary>Whether weights can differ from those that are declared.</summary>
    public bool IsDynamic =>
        Adaptive is not null || Outliers is not null || SlowStart > TimeSpan.Zero || CanaryShare is not null || PreferredZone is not null
        || PanicThreshold > 0 || WhenAllDead == WhenAllDead.All;
}

/// <summary>What happens to new connections when health checks find no backend alive.</summary>
public enum WhenAllDead : byte
{
    /// <summary>They are refused.</summary>
    Refuse,
    /// <summary>They go to all backends, as if all were alive.</summary>
    All,
}

/// <summary>How weights follow latency.</summary>
public sealed record AdaptivePolicy
{
    /// <summary>Least part of its declared weight that a slow backend keeps, 0 to 1: enough to see when it recovers.</summary>
    public double Floor { get; init; } = 0.02;
}

/// <summary>When a backend is taken out, and for how long.</summary>
public sealed record OutlierPolicy
{
    /// <summary>Share of connections that must fail, 0 to 1.</summary>
    public double ErrorShare { get; init; } = 0.5;

    /// <summary>Failures there must be at least.</summary>
    public int LeastErrors { get; init; } = 3;

    /// <summary>Times the latency of the others at which a backend is taken out; null for never.</summary>
    public double? LatencyFactor { get; init; }

    /// <summary>How long it is out the first time; twice as long each time it fails again.</summary>
    public TimeSpan EjectFor { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Longest time it is out.</summary>
    public TimeSpan EjectForMost { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Share of the declared weight that may be out at once, 0 to 1.</summary>
    public double MostEjected { get; init; } = 0.5;
}
