using Skep.Edge;

namespace Skep.Resources;

/// <summary>How much the tables of the edge hold; what is not said is as in <see cref="EdgeOptions"/>. There is one for an agent.</summary>
public sealed record TableSizes : Resource
{
    /// <inheritdoc/>
    public override string Kind => "TableSizes";

    /// <summary>Virtual endpoints: addresses times ports.</summary>
    public uint? Services { get; init; }

    /// <summary>Backends, counted once for every endpoint.</summary>
    public uint? Backends { get; init; }

    /// <summary>Rows of eight bytes that all rings share.</summary>
    public uint? RingRows { get; init; }

    /// <summary>Connections by rewriting.</summary>
    public uint? Connections { get; init; }

    /// <summary>Flows with direct return.</summary>
    public uint? Flows { get; init; }

    /// <summary>Blocked single addresses.</summary>
    public uint? BlockedAddresses { get; init; }

    /// <summary>Blocked prefixes.</summary>
    public uint? BlockedPrefixes { get; init; }

    /// <summary>Sources whose rate is remembered.</summary>
    public uint? Sources { get; init; }

    /// <summary>Sockets of this host that were given a backend.</summary>
    public uint? Sockets { get; init; }

    /// <summary><paramref name="options"/> with these sizes.</summary>
    public EdgeOptions Apply(EdgeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return options with
        {
            MaxServices = Services ?? options.MaxServices,
            MaxBackends = Backends ?? options.MaxBackends,
            RingRows = RingRows ?? options.RingRows,
            MaxConnections = Connections ?? options.MaxConnections,
            MaxFlows = Flows ?? options.MaxFlows,
            MaxBlockedAddresses = BlockedAddresses ?? options.MaxBlockedAddresses,
            MaxBlockedPrefixes = BlockedPrefixes ?? options.MaxBlockedPrefixes,
            MaxSources = Sources ?? options.MaxSources,
            MaxSockets = Sockets ?? options.MaxSockets,
        };
    }
}
