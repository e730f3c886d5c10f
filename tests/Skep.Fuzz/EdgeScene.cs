using Skep.Balancing;
using Skep.Bpf.Maps;
using Skep.Edge;
using Skep.Filtering;
using Skep.Packets;

namespace Skep.Fuzz;

/// <summary>The edge program with the services and blocks of <see cref="Scene"/>, over maps that the caller gives storage.</summary>
public sealed class EdgeScene : IDisposable
{
    private EdgeScene(EdgeOptions options)
    {
        Maps = new EdgeMaps(options);
        Program = new EdgeProgram(Maps, options);
        TcProgram = new TcEdgeProgram(Maps, options);
    }

    /// <summary>Its maps.</summary>
    public EdgeMaps Maps { get; }

    /// <summary>The program for XDP.</summary>
    public EdgeProgram Program { get; }

    /// <summary>The program for traffic control, over the same maps.</summary>
    public TcEdgeProgram TcProgram { get; }

    /// <summary>Every stage on; nothing is ever over its rate, so that no verdict hangs on the speed of the machine.</summary>
    public static EdgeOptions Everything { get; } = new() { RateLimit = new SourceRate(1_000_000_000, 1_000_000), RingSize = 251, RingRows = 1024, MaxServices = 8, MaxBackends = 64, MaxConnections = 4096 };

    /// <summary>Strict about malformed packets, without balancing.</summary>
    public static EdgeOptions Strict { get; } = Everything with { Malformed = PacketPolicy.Drop, Balance = false };

    /// <summary>Strict and balancing; stray fragments pass.</summary>
    public static EdgeOptions StrictBalancing { get; } = Everything with { Malformed = PacketPolicy.Drop, StrayFragments = PacketPolicy.Pass, RateLimit = null };

    /// <summary>Clients' addresses replaced too, with fewer ports than the corpus has connections.</summary>
    public static EdgeOptions Translating { get; } = Everything with { TranslateSources = true, RateLimit = null };

    /// <summary>Services that ask for more of clients: affinity, source ranges, and a range of ports.</summary>
    public static EdgeOptions Choosy { get; } = Everything with { Features = ServiceFlags.ByClient | ServiceFlags.Restricted | ServiceFlags.Ranged, RateLimit = null };

    /// <summary>All of the above by name.</summary>
    public static IReadOnlyDictionary<string, EdgeOptions> Variants { get; } = new Dictionary<string, EdgeOptions>
    {
        ["everything"] = Everything,
        ["strict"] = Strict,
        ["strict-balancing"] = StrictBalancing,
        ["translating"] = Translating,
        ["choosy"] = Choosy,
    };

    /// <summary>Makes the scene: <paramref name="bind"/> gives each map storage, then services and blocks are written.</summary>
    public static EdgeScene Create(EdgeOptions options, TimeProvider time, Action<BpfMap> bind)
    {
        ArgumentNullException.ThrowIfNull(bind);
        var scene = new EdgeScene(options);
        foreach (var map in scene.Maps.All)
        {
            bind(map);
        }

        var state = new EdgeState(scene.Maps, time);
        ServiceModel[] services =
        [
            Service("web", Scene.WebService, 80, IpProtocol.Tcp, 8080, Scene.Backends),
            Service("web6", Scene.WebService6, 80, IpProtocol.Tcp, 8080, Scene.Backends6),
            Service("names", Scene.NameService, 53, IpProtocol.Udp, 5353, Scene.Backends),
            Service("names6", Scene.NameService6, 53, IpProtocol.Udp, 5353, Scene.Backends6),
            Service("shop", Scene.ShopService, 80, IpProtocol.Tcp, 8080, Scene.Backends[0]),
            Service("empty", Scene.EmptyService, 80, IpProtocol.Tcp, 8080),
        ];
        state.Balancer.Apply([.. services.Select(s => options.TranslateSources ? Translated(s) : options.Features != ServiceFlags.None ? Choosing(s) : s)]);
        state.BlockList.Apply(
        [
            new BlockRequest(IpPrefix.Parse(Scene.BlockedAddress + "/32")),
            new BlockRequest(IpPrefix.Parse(Scene.BlockedPrefix)),
            new BlockRequest(IpPrefix.Parse(Scene.BlockedPrefix6)),
        ]);
        return scene;
    }

    /// <summary>Disposes of the maps.</summary>
    public void Dispose()
    {
        foreach (var map in Maps.All)
        {
            map.Dispose();
        }
    }

    // Backends of the corpus answer to its client, so its address is the own one, and its ports are those that are given out.
    private static ServiceModel Translated(ServiceModel service) => service with
    {
        SourceTranslation = new([IpAddress.Parse(service.Address.IsIPv4 ? Scene.Client : Scene.Client6)]) { FirstPort = 40_008, LastPort = 40_011 },
    };

    private static ServiceModel Choosing(ServiceModel service) => service.Name switch
    {
        "shop" => service with { SourceRanges = [IpPrefix.Parse("10.9.0.0/16")] },
        "names" => service with { Port = 50, LastPort = 60, Backends = [.. service.Backends.Select(b => b with { Port = 0 })] },
        _ => service with { ClientPrefix = service.Address.IsIPv4 ? 24 : 48, SourceRanges = [IpPrefix.Parse("198.51.100.0/25"), IpPrefix.Parse("2001:db8:c::/48")] },
    };

    private static ServiceModel Service(string name, string address, ushort port, IpProtocol protocol, ushort backendPort, params string[] backends) => new(
        name,
        IpAddress.Parse(address),
        port,
        protocol,
        [.. backends.Select((b, i) => new BackendModel(IpAddress.Parse(b), backendPort, i + 1))]);
}
