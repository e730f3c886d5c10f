using System.Collections.Immutable;
using System.Net;
using Skep.Balancing;

namespace Skep.Resources.Reading;

/// <summary>A kind of resource: its spec and how the model is built from it.</summary>
internal sealed record ResourceKind(string Name, ObjectShape Spec, Func<ResourceHead, ObjectValue, Resource> Build)
{
    /// <summary>The whole document.</summary>
    public ObjectShape Document { get; } = new(
        $"A {Name} of Skep.",
        new Field("apiVersion", Scalars.Constant("unknown-version", "a known version", Kinds.ApiVersion), "Version of the format.", Required: true),
        new Field("kind", Scalars.Constant("unknown-kind", "this kind", Name), "Kind of the resource.", Required: true),
        new Field("metadata", Kinds.Metadata, "Name and labels.", Required: true),
        new Field("spec", Spec, "What is asked for.", Required: true));
}

/// <summary>What is common to all kinds, read already.</summary>
internal sealed record ResourceHead(string Name, ImmutableSortedDictionary<string, string> Labels, ResourceSource Source, ImmutableArray<string> Interfaces, EdgeHook Hook);

/// <summary>The kinds that resource files may have.</summary>
internal static class Kinds
{
    public const string ApiVersion = "skep.dev/v1";

    public static readonly ObjectShape Metadata = new(
        "Name and labels, as in Kubernetes.",
        new Field("name", Scalars.ResourceName, "Unique within the kind.", Required: true),
        new Field("labels", new StringMapShape(), "For people and selectors."),
        new Field("annotations", new StringMapShape(), "Notes; never read."));

    private static readonly Field s_interfaces = new(
        "interfaces", new ListShape(Scalars.InterfaceName, 1, 64), "Interfaces on which it is enforced.", Required: true);

    private static readonly Field s_hook = new(
        "hook", Scalars.Hook, "Where packets are taken: auto (XDP on physical devices, traffic control on virtual ones and where XDP is refused), xdp or tc.");

    private static readonly ObjectShape s_port = new(
        "A port that is served.",
        new Field("port", Scalars.PortOrAll, "Port clients use; 0 for all ports.", Required: true),
        new Field("endPort", Scalars.Port, "Last port of a range that begins with port; backends serve the ports that clients use."),
        new Field("protocol", Scalars.Protocol, "TCP (default) or UDP."),
        new Field("targetPort", Scalars.Port, "Port of the backends; the same port unless given."));

    private static readonly ObjectShape s_drain = new(
        "A drain that ends.",
        new Field("for", Scalars.TimeSpan, "How long it may take; what remains then is cut.", Required: true));

    private static readonly ObjectShape s_backend = new(
        "Where connections go.",
        new Field("address", Scalars.Address, "Address of the backend.", Required: true),
        new Field("port", Scalars.Port, "Its own port; the target port of the balancer unless given."),
        new Field("weight", Scalars.Weight, "Share of new connections; 1 unless given, 0 drains."),
        new Field("zone", Scalars.ResourceName, "Zone it stands in, for preferZone."),
        new Field("canary", Scalars.Flag, "It belongs to the canary, whose share 'canary' of the balancer says."),
        new Field("drain", new EitherShape(Scalars.Flag, s_drain), "It keeps its connections and gets no new ones."),
        new Field("quicServerId", Scalars.QuicServerId, "What stands for it in QUIC connection ids, for quic of the balancer; of the same length for all backends."));

    private static readonly ObjectShape s_affinityPrefix = new(
        "Bits of a client's address that count with affinity by client.",
        new Field("ipv4", Scalars.IPv4Prefix, "Of IPv4 addresses; all 32 unless given."),
        new Field("ipv6", Scalars.IPv6Prefix, "Of IPv6 addresses; all 128 unless given."));

    private static readonly ObjectShape s_sourceTranslation = new(
        "Own addresses and ports that backends see instead of the clients'.",
        new Field("addresses", new ListShape(Scalars.Address, 1, 2 * SourcePool.MostAddresses), "Addresses of this host, one at least and four at most of every family that has a virtual address.", Required: true),
        new Field("firstPort", Scalars.Port, "First port that is given out; 1024 unless given."),
        new Field("lastPort", Scalars.Port, "Last port that is given out; 32767 unless given, below those that Linux takes for connections of its own (ip_local_port_range)."),
        new Field("for", Scalars.TranslatedClients, "all clients (default), or only backends: clients that are backends of the balancer themselves, which otherwise could not use it."));

    private static readonly ObjectShape s_blockEntry = new(
        "A blocked source.",
        new Field("prefix", Scalars.Prefix, "Address or prefix.", Required: true),
        new Field("reason", Scalars.Text, "Why, for people."),
        new Field("until", Scalars.Time, "End of the block; no end unless given."));

    public static readonly ImmutableArray<ResourceKind> All =
    [
        new("LoadBalancer", new ObjectShape(
            "Virtual addresses and ports, balanced over weighted backends.",
            s_interfaces with { Required = false, Description = "Interfaces on which it is enforced; may be left out with fromThisHost." },
            s_hook,
            new Field("bypassStack", Scalars.Flag, "At traffic control: send balanced packets on by the routing table at once, past this host's firewall rules for forwarded packets."),
            new Field("fromThisHost", Scalars.Flag, "Also balance what processes of this host open, at the socket: no packet of it is touched."),
            new Field("cgroup", Scalars.Cgroup, "Control group of these processes, from the root of the hierarchy; all of them unless given."),
            new Field("addresses", new ListShape(Scalars.Address, 1, 64), "Virtual addresses.", Required: true),
            new Field("ports", new ListShape(s_port, 1, 64), "Ports that are served on every address.", Required: true),
            new Field("backends", new ListShape(s_backend, 0, 1024), "Where connections go.", Required: true),
            new Field("healthCheck", BalancingShapes.HealthCheck, "Checks that say which backends live."),
            new Field("adaptive", new EitherShape(Scalars.Flag, BalancingShapes.Adaptive), "Let weights follow latency and open connections."),
            new Field("outlierDetection", new EitherShape(Scalars.Flag, BalancingShapes.Outliers), "Take backends out for a while whose connections fail."),
            new Field("slowStart", Scalars.TimeSpan, "Time in which a new or returning backend grows to its full weight."),
            new Field("canary", BalancingShapes.Canary, "Share of new connections that backends with 'canary: true' get together."),
            new Field("preferZone", Scalars.ResourceName, "Zone whose backends get everything while enough of them are healthy."),
            new Field("panicPercent", Scalars.Percent, "With a smaller part of the weight alive, dead backends are used like living ones; 0 unless given: never."),
            new Field("whenAllDead", Scalars.WhenAllDead, "With no backend alive: refuse (default) new connections, or give them to all."),
            new Field("forwarding", Scalars.Forwarding,
                "How packets reach the backends: nat (default) rewrites addresses, and answers come back through this host; ipip, gue, geneve and l2 leave the packet as it is, and backends answer clients directly."),
            new Field("affinity", Scalars.Affinity, "What stays on one backend: a connection (default), or all of a client's."),
            new Field("affinityPrefix", s_affinityPrefix, "How much of a client's address counts with affinity by client."),
            new Field("tracking", Scalars.Flag, "Whether flows are remembered, so that they survive changes of the backends; true unless given."),
            new Field("sourceRanges", new ListShape(Scalars.Prefix, 1, 256), "Sources that may begin connections; all unless given."),
            new Field("connectionRate", new EitherShape(Scalars.ServiceRate, BalancingShapes.Rate), "New connections a second that each address and port takes at most."),
            new Field("packetRate", new EitherShape(Scalars.ServiceRate, BalancingShapes.Rate), "Packets of clients a second that each address and port takes at most."),
            new Field("secondChance", Scalars.Flag,
                "With gue and geneve: packets of connections that this balancer does not know take along which backend had their place before a change, for TunnelEndpoints with peers."),
            new Field("quic", new EitherShape(Scalars.Flag, DirectReturn.Quic),
                "Send UDP packets to the backend whose quicServerId is in their QUIC connection id, so that connections survive clients that move."),
            new Field("sourceTranslation", s_sourceTranslation, "With nat: replace clients' addresses too, so that answers come back whatever route backends have.")), BuildLoadBalancer),
        new("BlockList", new ObjectShape(
            "Sources whose packets are dropped.",
            s_interfaces,
            s_hook,
            new Field("entries", new ListShape(new EitherShape(Scalars.Prefix, s_blockEntry), 0, 1_000_000), "Addresses and prefixes.", Required: true),
            new Field("force", Scalars.Flag, "Apply it even if it covers this host's own addresses or the operator's connection.")), BuildBlockList),
        new("RateLimit", new ObjectShape(
            "Packets every source address may send.",
            s_interfaces,
            s_hook,
            new Field("packetsPerSecond", Scalars.PacketsPerSecond, "Sustained packets per second and source.", Required: true),
            new Field("burst", Scalars.Burst, "Packets at once after a pause; as many as in a second unless given.")), BuildRateLimit),
        new("TunnelEndpoint", new ObjectShape(
            "This host is a backend with direct return: outer headers are taken off what balancers send.",
            s_interfaces,
            s_hook,
            new Field("tunnelAddresses", new ListShape(Scalars.Address, 1, 64), "Addresses of this host that balancers send to.", Required: true),
            new Field("addresses", new ListShape(Scalars.Address, 1, 1024), "Virtual addresses, which this host has on its loopback device.", Required: true),
            new Field("balancers", new ListShape(Scalars.Prefix, 1, 256), "Where the balancers are; outer headers from elsewhere are refused.", Required: true),
            new Field("peers", new ListShape(Scalars.Address, 1, 1024),
                "Addresses of the other backends, for balancers with secondChance: a packet without a connection here goes on to the one it came with.")), BuildTunnelEndpoint),
        new("TableSizes", new ObjectShape(
            "How much the tables of the edge hold; one for an agent. A change is carried out while traffic flows.",
            new Field("services", Scalars.ServiceCount, "Virtual endpoints, which are addresses times ports; 1024 unless given, 65535 at most with direct return."),
            new Field("backends", Scalars.BackendCount, "Backends, counted once for every endpoint; 16384 unless given. Those with direct return have numbers up to 65535."),
            new Field("ringRows", Scalars.RowCount, "Rows of eight bytes that the rings of all services share; 2097152 unless given. When they run short, shares get coarser."),
            new Field("connections", Scalars.ConnectionCount, "Connections that nat remembers, those with source translation counted twice; 131072 unless given."),
            new Field("flows", Scalars.ConnectionCount, "Flows with direct return that are remembered, 8 bytes each, rounded up to a power of two; 262144 unless given."),
            new Field("blockedAddresses", Scalars.BlockCount, "Blocked single addresses; 65536 unless given."),
            new Field("blockedPrefixes", Scalars.BlockCount, "Blocked prefixes; 16384 unless given."),
            new Field("sources", Scalars.ConnectionCount, "Sources whose rate is remembered for RateLimit; 65536 unless given."),
            new Field("sockets", Scalars.ConnectionCount, "With fromThisHost: sockets whose backend is remembered; 65536 unless given.")), BuildTableSizes),
    ];

    private static LoadBalancer BuildLoadBalancer(ResourceHead head, ObjectValue spec) => new()
    {
        Name = head.Name,
        Labels = head.Labels,
        Source = head.Source,
        Interfaces = head.Interfaces,
        Hook = head.Hook,
        BypassStack = spec.Get("bypassStack", false),
        FromThisHost = spec.Get("fromThisHost", false),
        Cgroup = spec.Get("cgroup", "/"),
        Addresses = [.. spec.List<IPAddress>("addresses").Select(a => a.Value)],
        Ports = [.. spec.List<ObjectValue>("ports").Select(p => BuildPort(p.Value))],
        Backends = [.. spec.List<ObjectValue>("backends").Select(b => BuildBackend(b.Value))],
        Forwarding = spec.Get("forwarding", ForwardingMode.Nat),
        Affinity = spec.Get("affinity", false) ? BuildAffinity(spec) : null,
        Tracking = spec.Get("tracking", true),
        SourceRanges = [.. spec.List<IPNetwork>("sourceRanges").Select(r => r.Value)],
        QuicConfigs = DirectReturn.BuildQuic(spec),
        SourceTranslation = spec.Has("sourceTranslation") ? BuildSourceTranslation(spec.Get<ObjectValue>("sourceTranslation"), spec.SourceOf("sourceTranslation")) : null,
        SecondChance = spec.Get("secondChance", false),
        ConnectionRate = BalancingShapes.BuildRate(spec, "connectionRate"),
        PacketRate = BalancingShapes.BuildRate(spec, "packetRate"),
        HealthCheck = spec.Has("healthCheck") ? BalancingShapes.BuildHealthCheck(spec.Get<ObjectValue>("healthCheck")) : null,
        Policy = BalancingShapes.BuildPolicy(spec),
    };

    private static ClientAffinity BuildAffinity(ObjectValue spec) => spec.Has("affinityPrefix") && spec.Get<ObjectValue>("affinityPrefix") is { } prefix
        ? new((int)prefix.Get("ipv4", 32u), (int)prefix.Get("ipv6", 128u))
        : new();

    private static TranslatedSources BuildSourceTranslation(ObjectValue value, ResourceSource source) => new(
        [.. value.List<IPAddress>("addresses").Select(a => a.Value)],
        (ushort)value.Get("firstPort", 1024u), (ushort)value.Get("lastPort", 32767u), value.Get("for", false), source);

    private static TunnelEndpoint BuildTunnelEndpoint(ResourceHead head, ObjectValue spec) => new()
    {
        Name = head.Name,
        Labels = head.Labels,
        Source = head.Source,
        Interfaces = head.Interfaces,
        Hook = head.Hook,
        TunnelAddresses = [.. spec.List<IPAddress>("tunnelAddresses").Select(a => a.Value)],
        Addresses = [.. spec.List<IPAddress>("addresses").Select(a => a.Value)],
        Balancers = [.. spec.List<IPNetwork>("balancers").Select(b => b.Value)],
        Peers = [.. spec.List<IPAddress>("peers").Select(a => a.Value)],
    };

    private static LoadBalancerPort BuildPort(ObjectValue port)
    {
        var number = port.Get<uint>("port");
        return new(
            (ushort)number, port.Get("protocol", TransportProtocol.TCP), (ushort)port.Get("targetPort", number),
            port.Has("endPort") ? (ushort)port.Get<uint>("endPort") : null);
    }

    private static Backend BuildBackend(ObjectValue backend) => new(
        backend.Get<IPAddress>("address"),
        backend.Has("port") ? (ushort)backend.Get<uint>("port") : null,
        (int)backend.Get("weight", 1u),
        backend.Source)
    {
        Zone = backend.Get<string?>("zone", null),
        Canary = backend.Get("canary", false),
        Drain = BalancingShapes.IsOn(backend, "drain", out var drain),
        DrainFor = drain?.Get<TimeSpan>("for"),
        QuicServerId = backend.Has("quicServerId") ? backend.Get<QuicServerId>("quicServerId") : null,
    };

    private static BlockList BuildBlockList(ResourceHead head, ObjectValue spec) => new()
    {
        Name = head.Name,
        Labels = head.Labels,
        Source = head.Source,
        Interfaces = head.Interfaces,
        Hook = head.Hook,
        Entries = [.. spec.List<object>("entries").Select(e => BuildEntry(e.Value))],
        Force = spec.Get("force", false),
    };

    private static BlockEntry BuildEntry(object entry) => entry switch
    {
        Located { Value: IPNetwork prefix } plain => new(prefix, "", null, plain.Source),
        ObjectValue value => new(
            value.Get<IPNetwork>("prefix"), value.Get("reason", ""), value.Has("until") ? value.Get<DateTimeOffset>("until") : null, value.Source),
        _ => throw new InvalidOperationException($"An entry was read as {entry.GetType()}."),
    };

    private static TableSizes BuildTableSizes(ResourceHead head, ObjectValue spec)
    {
        return new()
        {
            Name = head.Name,
            Labels = head.Labels,
            Source = head.Source,
            Interfaces = [],
            Services = Given("services"),
            Backends = Given("backends"),
            RingRows = Given("ringRows"),
            Connections = Given("connections"),
            Flows = Given("flows"),
            BlockedAddresses = Given("blockedAddresses"),
            BlockedPrefixes = Given("blockedPrefixes"),
            Sources = Given("sources"),
            Sockets = Given("sockets"),
        };

        uint? Given(string field) => spec.Has(field) ? spec.Get<uint>(field) : null;
    }

    private static RateLimit BuildRateLimit(ResourceHead head, ObjectValue spec) => new()
    {
        Name = head.Name,
        Labels = head.Labels,
        Source = head.Source,
        Interfaces = head.Interfaces,
        Hook = head.Hook,
        PacketsPerSecond = spec.Get<uint>("packetsPerSecond"),
        Burst = spec.Get("burst", spec.Get<uint>("packetsPerSecond")),
    };
}
