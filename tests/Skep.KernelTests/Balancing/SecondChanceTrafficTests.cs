using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using Skep.Balancing;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Edge;
using Skep.Engine;
using Skep.KernelTests.Surroundings;
using Skep.Packets;

namespace Skep.KernelTests.Balancing;

/// <summary>
/// Connections of real TCP while the ring changes and another balancer, which knows none of them, takes the place of the first. All hosts are on one link each with the
/// balancer; backends answer through it, by its routing, as any router.
/// <code>
/// client 10.90.0.2 --- middle, balancer --- 10.90.x.2 backend x      x = 1, 2, 3
/// </code>
/// </summary>
public sealed class SecondChanceTrafficTests : IDisposable
{
    private const string Vip = "10.90.100.1";
    private const ushort Port = 80;
    private const int Backends = 3;

    private static readonly EdgeOptions s_balancing = new()
    {
        RingSize = 1024, RingRows = 4096, MaxServices = 8, MaxBackends = 16, MaxConnections = 64, MaxFlows = 4096, BlockAddresses = false, BlockPrefixes = false, Balance = false,
        Measure = false,
    };

    private readonly List<IDisposable> _things = [];
    private readonly TestNamespace _client = new();
    private readonly TestNamespace _middle = new();
    private readonly TestNamespace[] _hosts = [new(), new(), new()];
    private readonly EdgeState[] _ends = new EdgeState[Backends];
    private readonly List<Socket> _listeners = [];
    private Dictionary<IpAddress, BackendPath> _hops = [];
    private int _toClient;

    public void Dispose()
    {
        _listeners.ForEach(l => l.Dispose());
        _things.Reverse();
        _things.ForEach(t => t.Dispose());
        _client.Dispose();
        _middle.Dispose();
        Array.ForEach(_hosts, h => h.Dispose());
    }

    [KernelTheory]
    [InlineData(ForwardingMode.Gue)]
    [InlineData(ForwardingMode.Geneve)]
    public void Connections_survive_a_new_balancer_and_a_new_ring_at_the_same_time(ForwardingMode forwarding)
    {
        const int connections = 120;
        Build();
        var first = Balancer();
        var second = Balancer();
        Change(first, second, Service(forwarding, 1, 1, 0));

        var program = ProgramOf(first);
        var link = _middle.Run(() => XdpLink.Attach(program, _toClient, XdpMode.Generic));
        _things.Add(link);
        var sockets = Enumerable.Range(0, connections).Select(_ => Connect()).ToArray();
        var owners = sockets.Select(Ask).ToArray();
        Assert.Equal([1, 2], owners.Distinct().Order());

        // Both learn of a third backend and that the second one is to get no more; then the second balancer takes over.
        Change(first, second, Service(forwarding, 1, 0, 1));
        link.Update(ProgramOf(second));
        Assert.Equal(owners, sockets.Select(Ask));
        Assert.True(Count(EdgeVerdict.SentOn) > 0, "nothing was sent on");
        Assert.True(second.State.ReadCounters()[EdgeVerdict.ForwardedTwoHops].Packets > connections / 4, "hardly any packet had two hops");

        // New ones go where the ring says, and the old ones end as they like.
        var fresh = Enumerable.Range(0, 40).Select(_ => Connect()).ToArray();
        Assert.Equal([1, 3], fresh.Select(Ask).Distinct().Order());
        Assert.All(sockets.Concat(fresh), socket =>
        {
            socket.Shutdown(SocketShutdown.Send);
            Assert.Equal(0, socket.Receive(new byte[1]));
            socket.Dispose();
        });
    }

    [KernelFact]
    public void Without_a_second_chance_they_do_not()
    {
        Build();
        var first = Balancer();
        var second = Balancer();
        ServiceModel Plain(int a, int b, int c) => Service(ForwardingMode.Gue, a, b, c) with { SecondChance = false };
        Change(first, second, Plain(1, 1, 0));
        var link = _middle.Run(() => XdpLink.Attach(ProgramOf(first), _toClient, XdpMode.Generic));
        _things.Add(link);
        var sockets = Enumerable.Range(0, 40).Select(_ => Connect()).ToArray();
        var owners = sockets.Select(Ask).ToArray();
        Change(first, second, Plain(1, 0, 1));
        link.Update(ProgramOf(second));
        var lost = sockets.Zip(owners).Count(s =>
        {
            try
            {
                return Ask(s.First) != s.Second;
            }
            catch (SocketException)
            {
                return true;
            }
        });
        Assert.True(lost > 0, "all connections survived without");
        Array.ForEach(sockets, s => s.Dispose());
    }

    private void Build()
    {
        Kernel.Require();
        _middle.Run(() =>
        {
            File.WriteAllText("/proc/sys/net/ipv4/ip_forward", "1");

            // What a backend sends on has the balancer's address as its source, and comes back to be routed.
            File.WriteAllText("/proc/sys/net/ipv4/conf/all/accept_local", "1");
        });
        (_toClient, _) = _middle.Connect(_client, "client", "eth0", IPAddress.Parse("10.90.0.1"), IPAddress.Parse("10.90.0.2"));
        _client.Run(() => RtNetlink.AddRoute(IPAddress.Any, 0, IPAddress.Parse("10.90.0.1")));
        for (var x = 1; x <= Backends; x++)
        {
            var number = x;
            var (here, there) = _middle.Connect(_hosts[x - 1], $"b{x}", "eth0", IPAddress.Parse($"10.90.{x}.1"), IPAddress.Parse($"10.90.{x}.2"));
            _hosts[x - 1].Run(() =>
            {
                RtNetlink.AddRoute(IPAddress.Any, 0, IPAddress.Parse($"10.90.{number}.1"));
                RtNetlink.AddAddress(RtNetlink.IndexOf("lo"), IPAddress.Parse(Vip), 32);
            });
            _ends[x - 1] = Endpoint(x, there);
            Serve(x);
        }

        // Neighbours answer once they were asked.
        var addresses = Enumerable.Range(1, Backends).Select(x => IpAddress.Parse($"10.90.{x}.2")).ToArray();
        using var finder = _middle.Run(() => new HostNextHops());
        Eventually.True(() =>
        {
            _hops = _middle.Run(() => finder.Find(addresses)).ToDictionary();
            return _hops.Count == Backends && _hops.Values.All(h => h.Interface != 0);
        }, "the backends answer as neighbours");
    }

    /// <summary>The end of tunnels on a backend, at traffic control, which knows the others as peers.</summary>
    private EdgeState Endpoint(int number, int device)
    {
        var options = s_balancing with { Decapsulate = true, SendOn = true };
        var (maps, state) = Bound(options);
        var peers = Enumerable.Range(1, Backends).Where(x => x != number).Select(x => IpAddress.Parse($"10.90.{x}.2")).ToArray();
        Assert.Empty(state.Tunnels.Apply(new(
            new Dictionary<IpAddress, TunnelAddress> { [IpAddress.Parse($"10.90.{number}.2")] = TunnelAddress.Outer, [IpAddress.Parse(Vip)] = TunnelAddress.Virtual }.ToImmutableDictionary(),
            [IpPrefix.Parse("10.90.0.0/16")])
        { Peers = [.. peers] }));
        using var finder = _hosts[number - 1].Run(() => new HostNextHops());
        Eventually.True(() =>
        {
            var hops = _hosts[number - 1].Run(() => finder.Find(peers));
            state.Tunnels.SetNextHops(hops);
            return hops.Values.All(h => h.Interface != 0);
        }, "the router answers as a neighbour");
        var program = ProgramLoader.Load(ProgramCompiler.Compile(new TcEdgeProgram(maps, options)));
        _things.Add(program);
        _things.Add(_hosts[number - 1].Run(() => TcxLink.Attach(program, device, TcDirection.Ingress)));
        return state;
    }

    private (EdgeMaps Maps, EdgeState State) Balancer() => Bound(s_balancing);

    private (EdgeMaps Maps, EdgeState State) Bound(EdgeOptions options)
    {
        var maps = new EdgeMaps(options);
        foreach (var map in maps.All)
        {
            map.Bind(KernelMapStorage.Create(map));
            _things.Add(map);
        }

        return (maps, new EdgeState(maps, TimeProvider.System));
    }

    private void Change((EdgeMaps Maps, EdgeState State) first, (EdgeMaps Maps, EdgeState State) second, ServiceModel service)
    {
        foreach (var balancer in new[] { first, second })
        {
            balancer.State.Balancer.SetNextHops(_hops);
            balancer.State.Balancer.Apply([service]);
        }
    }

    private LoadedProgram ProgramOf((EdgeMaps Maps, EdgeState State) balancer)
    {
        var options = s_balancing with { Direct = DirectPlan.For(balancer.State.Balancer.Services, _hops.Values, balancer.State.FlowSeed) };
        var program = ProgramLoader.Load(ProgramCompiler.Compile(new EdgeProgram(balancer.Maps, options)));
        _things.Add(program);
        return program;
    }

    private static ServiceModel Service(ForwardingMode forwarding, params int[] weights) => new(
        "web", IpAddress.Parse(Vip), Port, IpProtocol.Tcp, [.. weights.Select((w, i) => new BackendModel(IpAddress.Parse($"10.90.{i + 1}.2"), Port, w))])
    {
        Forwarding = forwarding, SecondChance = true,
    };

    private ulong Count(EdgeVerdict verdict) => _ends.Aggregate(0ul, (sum, end) => sum + end.ReadCounters()[verdict].Packets);

    /// <summary>Answers each byte with the backend's number.</summary>
    private void Serve(int number)
    {
        var listener = _hosts[number - 1].Run(() =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Parse(Vip), Port));
            socket.Listen(500);
            return socket;
        });
        _listeners.Add(listener);
        _ = Task.Run(async () =>
        {
            try
            {
                while (true)
                {
                    _ = AnswerAsync(await listener.AcceptAsync(), (byte)number);
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // The test is over.
            }
        });
    }

    private static async Task AnswerAsync(Socket socket, byte number)
    {
        using (socket)
        {
            var buffer = new byte[1];
            try
            {
                while (await socket.ReceiveAsync(buffer) > 0)
                {
                    await socket.SendAsync(new[] { number });
                }
            }
            catch (SocketException)
            {
                // The client was cut off.
            }
        }
    }

    private Socket Connect()
    {
        var socket = _client.Run(() => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 20_000, SendTimeout = 20_000 });
        socket.Connect(new IPEndPoint(IPAddress.Parse(Vip), Port));
        return socket;
    }

    private static int Ask(Socket socket)
    {
        socket.Send([1]);
        var answer = new byte[1];
        return socket.Receive(answer) == 1 ? answer[0] : 0;
    }
}
