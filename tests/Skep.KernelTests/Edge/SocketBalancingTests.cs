using System.Net;
using System.Net.Sockets;
using Skep.Balancing;
using Skep.Balancing.Sockets;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Edge;
using Skep.Engine;
using Skep.KernelTests.Surroundings;
using Skep.Packets;

namespace Skep.KernelTests.Edge;

/// <summary>Balancing at the socket with real sockets, in a control group and a network namespace of the test's.</summary>
[Collection(ThreadCgroup.Collection)]
public sealed class SocketBalancingTests : IDisposable
{
    private const ushort VirtualPort = 80;
    private static readonly IPAddress s_vip = IPAddress.Parse("192.0.2.1"), s_vip6 = IPAddress.Parse("2001:db8::1");

    private readonly TestNamespace _inside = new();
    private readonly ThreadCgroup _group;
    private readonly EdgeMaps _maps = new(new EdgeOptions { RingSize = 4093, MaxServices = 8, MaxBackends = 16, MaxConnections = 64 });
    private readonly SocketMaps _socketMaps = new(8, 4096);
    private readonly Balancer _balancer;
    private readonly SocketBalancer _sockets;
    private readonly List<IDisposable> _attached = [];

    public SocketBalancingTests()
    {
        _group = new ThreadCgroup(_inside);
        foreach (var map in _maps.All.Concat(_socketMaps.All))
        {
            map.Bind(KernelMapStorage.Create(map));
        }

        _balancer = new Balancer(_maps.Balancing);
        _sockets = new SocketBalancer(_maps.Balancing, _socketMaps);
    }

    public static TheoryData<string> Families => ["IPv4", "IPv6", "IPv4 on an IPv6 socket"];

    public void Dispose()
    {
        _attached.ForEach(a => a.Dispose());
        foreach (var map in _maps.All.Concat(_socketMaps.All))
        {
            map.Dispose();
        }

        _group.Dispose();
        _inside.Dispose();
    }

    [KernelTheory]
    [MemberData(nameof(Families))]
    public void A_connection_reaches_a_backend_and_shows_the_service(string family) => _inside.Run(() =>
    {
        using var listener = Listen(family);
        Serve(family, IpProtocol.Tcp, (PortOf(listener), 1));
        Attach();
        using var client = Open(family, SocketType.Stream);
        client.Connect(Service(family));
        using var accepted = listener.Accept();

        Assert.Equal(Service(family), client.RemoteEndPoint);
        client.Send([1, 2, 3]);
        Assert.Equal(3, accepted.Receive(new byte[8]));
        // A socket that asks for the backend by name gets and sees it.
        using var direct = Open(family, SocketType.Stream);
        var backend = new IPEndPoint(Backend(family), PortOf(listener));
        direct.Connect(backend);
        Assert.Equal(backend, direct.RemoteEndPoint);
    });

    [KernelTheory]
    [MemberData(nameof(Families))]
    public void Datagrams_of_an_unconnected_socket_go_to_a_backend_and_answers_come_from_the_service(string family) => _inside.Run(() =>
    {
        using var server = Bind(family);
        Serve(family, IpProtocol.Udp, (PortOf(server), 1));
        Attach();
        using var client = Open(family, SocketType.Dgram);
        client.SendTo([7], Service(family));
        EndPoint from = new IPEndPoint(server.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
        Assert.Equal(1, server.ReceiveFrom(new byte[4], ref from));
        server.SendTo([8, 8], from);
        EndPoint answered = new IPEndPoint(client.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
        Assert.Equal(2, client.ReceiveFrom(new byte[4], ref answered));
        Assert.Equal(Service(family), answered);
    });

    [KernelTheory]
    [MemberData(nameof(Families))]
    public void A_connected_datagram_socket_talks_to_a_backend_and_shows_the_service(string family) => _inside.Run(() =>
    {
        using var server = Bind(family);
        Serve(family, IpProtocol.Udp, (PortOf(server), 1));
        Attach();
        using var client = Open(family, SocketType.Dgram);
        client.Connect(Service(family));
        Assert.Equal(Service(family), client.RemoteEndPoint);
        client.Send([7]);
        EndPoint from = new IPEndPoint(server.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
        Assert.Equal(1, server.ReceiveFrom(new byte[4], ref from));
        server.SendTo([8, 8], from);
        EndPoint answered = new IPEndPoint(client.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
        Assert.Equal(2, client.ReceiveFrom(new byte[4], ref answered));
        Assert.Equal(Service(family), answered);
    });

    [KernelFact]
    public void Connections_follow_the_weights_and_stay_when_their_backend_goes() => _inside.Run(() =>
    {
        const string family = "IPv4";
        using var one = Listen(family);
        using var two = Listen(family);
        Serve(family, IpProtocol.Tcp, (PortOf(one), 1), (PortOf(two), 3));
        Attach();
        var clients = Enumerable.Range(0, 400).Select(_ => Open(family, SocketType.Stream)).ToArray();
        var accepted = new List<Socket>();
        var first = 0;
        foreach (var client in clients)
        {
            client.Connect(Service(family));
            var isFirst = one.Poll(0, SelectMode.SelectRead);
            first += isFirst ? 1 : 0;
            accepted.Add((isFirst ? one : two).Accept());
        }

        // 100 expected; the cookies that the kernel gives are hashed, so the spread is that of chance: 5 deviations of 8.7.
        Assert.InRange(first, 56, 144);

        Serve(family, IpProtocol.Tcp, (PortOf(two), 1));
        foreach (var (client, server) in clients.Zip(accepted))
        {
            client.Send([1]);
            Assert.Equal(1, server.Receive(new byte[2]));
            Assert.Equal(Service(family), client.RemoteEndPoint);
        }

        for (var i = 0; i < 20; i++)
        {
            using var later = Open(family, SocketType.Stream);
            later.Connect(Service(family));
            two.Accept().Dispose();
        }

        accepted.ForEach(s => s.Dispose());
        Array.ForEach(clients, c => c.Dispose());
    });

    [KernelFact]
    public void An_unconnected_socket_moves_on_when_its_backend_goes() => _inside.Run(() =>
    {
        const string family = "IPv6";
        using var one = Bind(family);
        using var two = Bind(family);
        using var client = Open(family, SocketType.Dgram);
        Serve(family, IpProtocol.Udp, (PortOf(one), 1));
        Attach();
        client.SendTo([1], Service(family));
        Assert.Equal(1, one.Receive(new byte[2]));
        Serve(family, IpProtocol.Udp, (PortOf(one), 1), (PortOf(two), 1000));
        client.SendTo([1], Service(family));
        Assert.Equal(1, one.Receive(new byte[2]));
        Serve(family, IpProtocol.Udp, (PortOf(two), 1));
        client.SendTo([1, 1], Service(family));
        Assert.Equal(2, two.Receive(new byte[4]));
    });

    [KernelFact]
    public void A_service_without_backends_refuses_the_connection() => _inside.Run(() =>
    {
        Serve("IPv4", IpProtocol.Tcp);
        Attach();
        using var client = Open("IPv4", SocketType.Stream);
        Assert.Equal(SocketError.ConnectionRefused, Assert.Throws<SocketException>(() => client.Connect(Service("IPv4"))).SocketErrorCode);
    });

    [KernelFact]
    public void The_programs_outlive_the_datapath_and_the_next_one_takes_them_over()
    {
        using var pins = new TestPins();
        var options = new KernelDatapathOptions(pins.Path("skep"));
        var hooks = _sockets.Programs.ToDictionary(p => new Hook(HookKind.Cgroup, $"{p.Section["cgroup/".Length..]}:{_group.Path}"));
        using (var datapath = new KernelDatapath(options))
        {
            foreach (var (hook, program) in hooks)
            {
                datapath.Attach(hook, program);
            }
        }

        using var listener = _inside.Run(() => Listen("IPv4"));
        Serve("IPv4", IpProtocol.Tcp, (PortOf(listener), 1));
        _inside.Run(() =>
        {
            using var client = Open("IPv4", SocketType.Stream);
            client.Connect(Service("IPv4"));
        });
        using var next = new KernelDatapath(options);
        Assert.Equal(hooks.Keys.Select(h => h.ToString()).Order(), next.Attached.Select(a => a.Hook.ToString()).Order());
        next.RemoveAll();
        _inside.Run(() =>
        {
            using var client = Open("IPv4", SocketType.Stream);
            Assert.Throws<SocketException>(() => client.Connect(Service("IPv4")));
        });
    }

    private void Serve(string family, IpProtocol protocol, params (int Port, int Weight)[] backends)
    {
        var model = new ServiceModel(
            "s", IpAddress.From(Service(family).Address), VirtualPort, protocol,
            [.. backends.Select(b => new BackendModel(IpAddress.From(Backend(family)), (ushort)b.Port, b.Weight))]);
        _balancer.Apply([model]);
        Assert.Empty(_sockets.Apply([model]));
    }

    private void Attach()
    {
        foreach (var program in _sockets.Programs)
        {
            var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program, KernelTarget.Running));
            _attached.Add(CgroupLink.Attach(loaded, _group.Path));
            _attached.Add(loaded);
        }
    }

    // On an IPv6 socket an IPv4 address is written as a mapped one.
    private static IPEndPoint Service(string family) => new(family switch { "IPv4" => s_vip, "IPv6" => s_vip6, _ => s_vip.MapToIPv6() }, VirtualPort);

    private static IPAddress Backend(string family) => family switch { "IPv4" => IPAddress.Loopback, "IPv6" => IPAddress.IPv6Loopback, _ => IPAddress.Loopback.MapToIPv6() };

    private static Socket Open(string family, SocketType type)
    {
        var protocol = type == SocketType.Stream ? ProtocolType.Tcp : ProtocolType.Udp;
        var socket = new Socket(family == "IPv4" ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6, type, protocol) { ReceiveTimeout = 10_000 };
        if (family is not "IPv4" and not "IPv6")
        {
            socket.DualMode = true;
        }

        return socket;
    }

    private static Socket Listen(string family)
    {
        var socket = Open(family, SocketType.Stream);
        socket.Bind(new IPEndPoint(Backend(family), 0));
        socket.Listen();
        return socket;
    }

    private static Socket Bind(string family)
    {
        var socket = Open(family, SocketType.Dgram);
        socket.Bind(new IPEndPoint(Backend(family), 0));
        return socket;
    }

    private static int PortOf(Socket socket) => ((IPEndPoint)socket.LocalEndPoint!).Port;
}
