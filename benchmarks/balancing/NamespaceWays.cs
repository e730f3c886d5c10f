using System.Globalization;
using System.Text;
using Skep.Balancing;
using Skep.Balancing.Sockets;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Edge;
using Skep.Engine;
using Skep.Packets;

namespace Skep.Benchmarks.Balancing;

/// <summary>A way from the client to the servers.</summary>
/// <param name="Name">For people.</param>
/// <param name="Address">What the client asks for.</param>
/// <param name="HttpPort">Port that leads to the three servers; of its own, so that no way meets closed connections of another.</param>
/// <param name="BulkPort">Port that leads to one server, because control and data of a bulk transfer belong together.</param>
/// <param name="Cgroup">Control group of the client.</param>
internal sealed record NamespaceWay(string Name, string Address, int HttpPort, int BulkPort, string Cgroup)
{
    /// <summary>Script of wrk that gives every connection its server.</summary>
    public required string Script { get; init; }
}

/// <summary>All ways, set up: direct, ours at traffic control and at the socket, proxies and nft.</summary>
internal sealed class NamespaceWays : IDisposable
{
    private const int FirstHttp = 8001, FirstBulk = 5201;

    // Three times as many as a thread has connections.
    private const int SpreadRequests = 63;
    private const string StreamModule = "/usr/lib/nginx/modules/ngx_stream_module.so";

    /// <summary>What a configuration of nginx begins with where its streams are a module.</summary>
    internal static string LoadStream => File.Exists(StreamModule) ? $"load_module {StreamModule};" : "";

    private readonly NamespaceNetwork _network;
    private readonly List<IDisposable> _attached = [];
    private readonly string _folder = Directory.CreateTempSubdirectory("skep-bench-").FullName;
    private readonly NamespaceCpu _cpu;

    internal NamespaceWays(NamespaceNetwork network, NamespaceCpu cpu)
    {
        _network = network;
        _cpu = cpu;
        All =
        [
            Way(Namespaces.Direct, 0, NamespaceNetwork.Address(0, 0)) with
            {
                Script = WriteScript("direct", FirstHttp, [.. Enumerable.Range(0, network.Servers).Select(s => NamespaceNetwork.Address(0, s))]),
            },
            Way("skep, traffic control", 1, NamespaceNetwork.Virtual(2)),
            Way("skep, at the socket", 2, NamespaceNetwork.Virtual(0)) with { Cgroup = cpu.Balanced },
            Way("haproxy TCP", 3, "10.90.0.1"),
            Way("nginx stream", 4, "10.90.0.1"),
            Way("nft DNAT", 5, NamespaceNetwork.Virtual(1)),
            Way("skep, past the stack", 6, NamespaceNetwork.Virtual(3)),
            Way("one of the servers", 7, NamespaceNetwork.Address(0, 0)),
        ];
        try
        {
            StartServers();
            StartHaproxy(All[3]);
            StartStream(All[4]);
            AddNft(All[5]);
            Balance(All[1], All[2], All[6]);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    internal IReadOnlyList<NamespaceWay> All { get; }

    public void Dispose()
    {
        _attached.ForEach(a => a.Dispose());
        Directory.Delete(_folder, recursive: true);
    }

    private NamespaceWay Way(string name, int number, string address) =>
        new(name, address, FirstHttp + number, FirstBulk + number, _cpu.Clients) { Script = WriteScript($"way{number}", FirstHttp + number, [address]) };

    private string Write(string name, string text)
    {
        var path = Path.Combine(_folder, name);
        File.WriteAllText(path, text);
        return path;
    }

    // The direct way takes servers by turns for each connection, as balancers do: a client whose threads have a server each would wake servers less often. Connections that are
    // kept are opened by wrk to one server; those it opens again after the first requests are spread. All ways run the same script, so that it costs them the same.
    private string WriteScript(string name, int port, string[] addresses) => Write(name + ".lua", $$"""
        local targets, addresses, turn, asked = { {{string.Join(", ", addresses.Select(a => $"\"{a}\""))}} }, {}, 0, 0
        local closes, first, rest
        function init(args)
          for i, target in ipairs(targets) do addresses[i] = wrk.lookup(target, "{{port}}")[1] end
          closes, rest = wrk.headers["Connection"] ~= nil, wrk.format()
          wrk.headers["Connection"] = "close"
          first = wrk.format()
        end
        function request()
          if not closes and asked == {{SpreadRequests}} then return rest end
          asked, turn = asked + (closes and 0 or 1), turn % #addresses + 1
          wrk.thread.addr = addresses[turn]
          return first
        end

        """);

    private void StartServers()
    {
        for (var s = 0; s < _network.Servers; s++)
        {
            var listen = new StringBuilder();
            foreach (var way in All)
            {
                listen.Append(CultureInfo.InvariantCulture, $"listen {way.HttpPort}; ");
            }

            var path = Write($"server{s}.conf", $$"""
                daemon off; worker_processes 1; pid {{_folder}}/server{{s}}.pid; error_log stderr crit;
                events { worker_connections 4096; }
                http { access_log off; keepalive_requests 10000000; server { {{listen}} location / { return 200 "server {{s}}\n"; } } }
                """);
            _network.Serve(_cpu.Servers, _network.Server(s), "nginx", "-p", _folder, "-c", path);
        }

        foreach (var way in All)
        {
            _network.Serve(_cpu.Servers, _network.Server(0), "iperf3", "-s", "-p", way.BulkPort.ToString(CultureInfo.InvariantCulture));
        }
    }

    private void StartHaproxy(NamespaceWay way) => _network.Serve(_cpu.Servers, _network.Middle(0), "haproxy", "-db", "-f", Write("haproxy.cfg", $"""
        global
          nbthread 2
          maxconn 4000
        defaults
          mode tcp
          timeout connect 5s
          timeout client 60s
          timeout server 60s
        listen http
          bind {way.Address}:{way.HttpPort}
          balance random
          server s0 {NamespaceNetwork.Address(0, 0)}:{way.HttpPort}
          server s1 {NamespaceNetwork.Address(0, 1)}:{way.HttpPort}
          server s2 {NamespaceNetwork.Address(0, 2)}:{way.HttpPort}
        listen bulk
          bind {way.Address}:{way.BulkPort}
          server s0 {NamespaceNetwork.Address(0, 0)}:{way.BulkPort}

        """));

    private void StartStream(NamespaceWay way) => _network.Serve(_cpu.Servers, _network.Middle(0), "nginx", "-p", _folder, "-c", Write("stream.conf", $$"""
        {{LoadStream}}
        daemon off; worker_processes 2; pid {{_folder}}/stream.pid; error_log stderr crit;
        events { worker_connections 8192; }
        stream {
          upstream http { random; server {{NamespaceNetwork.Address(0, 0)}}:{{way.HttpPort}}; server {{NamespaceNetwork.Address(0, 1)}}:{{way.HttpPort}}; server {{NamespaceNetwork.Address(0, 2)}}:{{way.HttpPort}}; }
          server { listen {{way.Address}}:{{way.HttpPort}}; proxy_pass http; }
          server { listen {{way.Address}}:{{way.BulkPort}}; proxy_pass {{NamespaceNetwork.Address(0, 0)}}:{{way.BulkPort}}; }
        }
        """));

    private void AddNft(NamespaceWay way) => NamespaceNetwork.Exec(_network.Middle(1), "nft", "-f", Write("nat.nft", $$"""
        table ip nat {
          chain prerouting {
            type nat hook prerouting priority dstnat
            ip daddr {{way.Address}} tcp dport {{way.HttpPort}} dnat to numgen random mod 3 map { 0 : {{NamespaceNetwork.Address(1, 0)}}, 1 : {{NamespaceNetwork.Address(1, 1)}}, 2 : {{NamespaceNetwork.Address(1, 2)}} }
            ip daddr {{way.Address}} tcp dport {{way.BulkPort}} dnat to {{NamespaceNetwork.Address(1, 0)}}
          }
        }

        """));

    private void Balance(NamespaceWay atTc, NamespaceWay atSocket, NamespaceWay past)
    {
        var options = new EdgeOptions { BlockAddresses = false, BlockPrefixes = false };
        var maps = new EdgeMaps(options);
        var sockets = new SocketMaps(options.MaxServices, options.MaxSockets);
        foreach (var map in maps.All.Concat(sockets.All))
        {
            map.Bind(KernelMapStorage.Create(map));
            _attached.Insert(0, map);
        }

        ServiceModel[] hosts = [.. Services(atSocket, 0)];
        var balancer = new Balancer(maps.Balancing);
        balancer.Apply([.. Services(atTc, 2), .. Services(past, 3), .. hosts]);
        var socketBalancer = new SocketBalancer(maps.Balancing, sockets);
        socketBalancer.Apply(hosts);

        // What leaves is looked at for errors of the host itself, as the agent has it.
        var errors = ProgramLoader.Load(ProgramCompiler.Compile(new HostErrorProgram(maps, translatesSources: false), KernelTarget.Running));
        _attached.Insert(0, errors);

        // Two programs over the same maps, each in a middle of its own.
        foreach (var (middle, bypass) in new[] { (2, false), (3, true) })
        {
            var edge = ProgramLoader.Load(ProgramCompiler.Compile(new TcEdgeProgram(maps, options with { BypassStack = bypass }), KernelTarget.Running));
            _attached.Insert(0, edge);
            foreach (var device in NamespaceNetwork.Inside(_network.Middle(middle), NetworkDevice.List).Where(d => !d.IsLoopback))
            {
                maps.Peers.Set((uint)device.Index, device.LeadsElsewhere ? 1u : 0u);
                _attached.Insert(0, NamespaceNetwork.Inside(_network.Middle(middle), () => TcxLink.Attach(edge, device.Index, TcDirection.Ingress)));
                _attached.Insert(0, NamespaceNetwork.Inside(_network.Middle(middle), () => TcxLink.Attach(errors, device.Index, TcDirection.Egress)));
            }
        }

        foreach (var program in socketBalancer.Programs)
        {
            var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program, KernelTarget.Running));
            _attached.Insert(0, loaded);
            _attached.Insert(0, CgroupLink.Attach(loaded, _cpu.Balanced));
        }
    }

    private IEnumerable<ServiceModel> Services(NamespaceWay way, int middle) =>
    [
        new("http", IpAddress.Parse(way.Address), (ushort)way.HttpPort, IpProtocol.Tcp,
            [.. Enumerable.Range(0, _network.Servers).Select(s => new BackendModel(IpAddress.Parse(NamespaceNetwork.Address(middle, s)), (ushort)way.HttpPort))]),
        new("bulk", IpAddress.Parse(way.Address), (ushort)way.BulkPort, IpProtocol.Tcp,
            [new BackendModel(IpAddress.Parse(NamespaceNetwork.Address(middle, 0)), (ushort)way.BulkPort)]),
    ];
}
