using System.Net;
using Skep.Balancing;
using Skep.Balancing.Adaptive;
using Skep.Balancing.Health;

namespace Skep.Resources.Reading;

/// <summary>The parts of a load balancer that say how it follows traffic and health.</summary>
internal static class BalancingShapes
{
    public static readonly ObjectShape Adaptive = new(
        "How weights follow latency and open connections.",
        new Field("floorPercent", Scalars.Percent, "Part of its declared weight that a slow backend keeps at least, so that its recovery shows; 2 unless given."));

    public static readonly ObjectShape Outliers = new(
        "When a backend is taken out, and for how long.",
        new Field("errorPercent", Scalars.Percent, "Part of its connections of late that must fail; 50 unless given."),
        new Field("leastErrors", Scalars.Times, "Failures there must be at least; 3 unless given."),
        new Field("latencyFactor", Scalars.Times, "Times the latency of the others at which it is taken out; never unless given."),
        new Field("ejectFor", Scalars.TimeSpan, "How long it is out the first time, twice as long each time it fails again; 10s unless given."),
        new Field("ejectForMost", Scalars.TimeSpan, "Longest time it is out; 5m unless given."),
        new Field("mostEjectedPercent", Scalars.Percent, "Part of the declared weight that may be out at once; 50 unless given."));

    public static readonly ObjectShape Canary = new(
        "The share of the canary.",
        new Field("percent", Scalars.Percent, "Percent of new connections.", Required: true));

    public static readonly ObjectShape Rate = new(
        "A limit of each virtual endpoint.",
        new Field("perSecond", Scalars.ServiceRate, "Sustained rate.", Required: true),
        new Field("burst", Scalars.ServiceRate, "How many may come at once after a pause; as many as in a second unless given."));

    public static readonly ObjectShape HealthCheck = new(
        "How backends are checked.",
        new Field("type", Scalars.CheckType, "tcp, http, https (certificates are not verified), udp or exec.", Required: true),
        new Field("port", Scalars.Port, "Port that is asked; the backend's own unless given."),
        new Field("path", Scalars.Path, "Path of an HTTP check; / unless given."),
        new Field("host", Scalars.Text, "Host that an HTTP check names; the address unless given."),
        new Field("statusFrom", Scalars.Status, "Lowest status that counts as alive; 200 unless given."),
        new Field("statusTo", Scalars.Status, "Highest status that counts as alive; 399 unless given."),
        new Field("send", Scalars.Text, "What a UDP check sends; nothing unless given, which many services do not answer."),
        new Field("expect", Scalars.Text, "Text that the answer of an HTTP or UDP check contains."),
        new Field("command", new ListShape(Scalars.Text, 1, 32), "Program and arguments of an exec check; {address} and {port} stand for the backend's."),
        new Field("interval", Scalars.TimeSpan, "Time between checks, give or take a tenth; 5s unless given."),
        new Field("timeout", Scalars.TimeSpan, "Longest time a check takes; 2s unless given."),
        new Field("healthy", Scalars.Times, "Checks in a row that make a dead backend alive; 2 unless given."),
        new Field("unhealthy", Scalars.Times, "Checks in a row that make a living backend dead; 3 unless given."),
        new Field("through", Scalars.CheckThrough, "address (the backend's own, unless given) or, with direct return, tunnel: as clients' packets, to the virtual address in outer headers."),
        new Field("source", Scalars.Address, "Address of this host that checks come from."));

    /// <summary>Whether a field that takes <c>true</c> or an object is on; the object is null for the plain form.</summary>
    public static bool IsOn(ObjectValue value, string field, out ObjectValue? settings)
    {
        settings = value.Get<object?>(field, null) as ObjectValue;
        return settings is not null || value.Get<object?>(field, null) is Located { Value: true };
    }

    /// <summary>A limit in its short or long form; null when there is none.</summary>
    public static ServiceRate? BuildRate(ObjectValue spec, string field) => spec.Get<object?>(field, null) switch
    {
        Located { Value: uint perSecond } => new ServiceRate(perSecond, perSecond),
        ObjectValue rate => new ServiceRate(rate.Get<uint>("perSecond"), rate.Get("burst", rate.Get<uint>("perSecond"))),
        _ => null,
    };

    public static HealthCheck BuildHealthCheck(ObjectValue check)
    {
        var otherwise = new HealthCheck();
        return new HealthCheck
        {
            Type = Enum.Parse<HealthCheckType>(check.Get<string>("type"), ignoreCase: true),
            Port = check.Has("port") ? (ushort)check.Get<uint>("port") : null,
            Path = check.Get("path", otherwise.Path),
            Host = check.Get<string?>("host", null),
            StatusFrom = (int)check.Get("statusFrom", (uint)otherwise.StatusFrom),
            StatusTo = (int)check.Get("statusTo", (uint)otherwise.StatusTo),
            Send = check.Get("send", ""),
            Expect = check.Get<string?>("expect", null),
            Command = string.Join('\n', check.List<string>("command").Select(c => c.Value)),
            Interval = check.Get("interval", otherwise.Interval),
            Timeout = check.Get("timeout", otherwise.Timeout),
            Healthy = (int)check.Get("healthy", (uint)otherwise.Healthy),
            Unhealthy = (int)check.Get("unhealthy", (uint)otherwise.Unhealthy),
            Through = Enum.Parse<CheckThrough>(check.Get("through", "address"), ignoreCase: true),
            Source = check.Get<IPAddress?>("source", null),
        };
    }

    public static ServicePolicy BuildPolicy(ObjectValue spec)
    {
        var policy = new ServicePolicy
        {
            SlowStart = spec.Get("slowStart", System.TimeSpan.Zero),
            CanaryShare = spec.Has("canary") ? spec.Get<ObjectValue>("canary").Get<uint>("percent") / 100d : null,
            PreferredZone = spec.Get<string?>("preferZone", null),
            PanicThreshold = spec.Get("panicPercent", 0u) / 100d,
            WhenAllDead = spec.Get("whenAllDead", "refuse") == "all" ? WhenAllDead.All : WhenAllDead.Refuse,
        };
        if (IsOn(spec, "adaptive", out var adaptive))
        {
            policy = policy with { Adaptive = new AdaptivePolicy { Floor = Math.Max(0.001, (adaptive?.Get("floorPercent", 2u) ?? 2u) / 100d) } };
        }

        return IsOn(spec, "outlierDetection", out var outliers) ? policy with { Outliers = BuildOutliers(outliers) } : policy;
    }

    private static OutlierPolicy BuildOutliers(ObjectValue? outliers)
    {
        var otherwise = new OutlierPolicy();
        return outliers is null ? otherwise : new OutlierPolicy
        {
            ErrorShare = outliers.Get("errorPercent", (uint)(100 * otherwise.ErrorShare)) / 100d,
            LeastErrors = (int)outliers.Get("leastErrors", (uint)otherwise.LeastErrors),
            LatencyFactor = outliers.Has("latencyFactor") ? outliers.Get<uint>("latencyFactor") : null,
            EjectFor = outliers.Get("ejectFor", otherwise.EjectFor),
            EjectForMost = outliers.Get("ejectForMost", otherwise.EjectForMost),
            MostEjected = outliers.Get("mostEjectedPercent", (uint)(100 * otherwise.MostEjected)) / 100d,
        };
    }
}
