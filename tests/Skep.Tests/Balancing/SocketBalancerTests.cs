using Skep.Balancing;
using Skep.Balancing.Sockets;
using Skep.Bpf.Programming;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Balancing;

/// <summary>Both halves of balancing at the socket under a twin: sockets are numbers, calls are contexts.</summary>
public sealed unsafe class SocketBalancerTests : IDisposable
{
    private const string Vip = "198.51.100.1", Vip6 = "2001:db8:f::1";

    private readonly EdgeBed _bed = new(EdgeBed.Small with { RingSize = 4093 });
    private readonly SocketMaps _maps = new(8, 8192);
    private readonly SocketBalancer _sockets;

    public SocketBalancerTests()
    {
        foreach (var map in _maps.All)
        {
            _bed.Twin.Bind(map);
        }

        _sockets = new SocketBalancer(_bed.Maps.Balancing, _maps);
    }

    public void Dispose() => _bed.Dispose();

    [Theory]
    [InlineData(Vip, "10.1.0.1", false)]
    [InlineData(Vip, "10.1.0.1", true)]
    [InlineData(Vip6, "2001:db8:b::1", true)]
    public void A_connection_goes_to_a_backend_and_its_peer_is_the_service(string vip, string backend, bool isIPv6Socket)
    {
        Serve(EdgeBed.Service("a", vip, 80, IpProtocol.Tcp, EdgeBed.Backend(backend, 8080)));
        var connect = Call(isIPv6Socket ? SocketHook.Connect6 : SocketHook.Connect4, 7, vip, 80, IpProtocol.Tcp);
        Assert.Equal((CgroupVerdict.Allow, backend, 8080), connect);
        var peer = isIPv6Socket ? SocketHook.PeerName6 : SocketHook.PeerName4;
        Assert.Equal((CgroupVerdict.Allow, vip, 80), Call(peer, 7, backend, 8080, IpProtocol.Tcp));
        // Another socket that talks to the backend itself sees the backend.
        Assert.Equal((CgroupVerdict.Allow, backend, 8080), Call(peer, 8, backend, 8080, IpProtocol.Tcp));
        Assert.Equal(1ul, _bed.State.Balancer.TrafficOf(_bed.State.Balancer.Services[0].Backends[0].Id).Connections);
    }

    [Fact]
    public void Only_the_services_that_are_meant_for_this_host_are_touched()
    {
        var web = EdgeBed.Service("web", Vip, 80, IpProtocol.Tcp, EdgeBed.Backend("10.1.0.1", 8080));
        var other = EdgeBed.Service("other", Vip, 81, IpProtocol.Tcp, EdgeBed.Backend("10.1.0.1", 8080));
        Assert.Empty(_bed.State.Balancer.Apply([web, other]));
        Assert.Empty(_sockets.Apply([web]));
        Assert.Equal("10.1.0.1", Call(SocketHook.Connect4, 1, Vip, 80, IpProtocol.Tcp).Address);
        Assert.Equal(Vip, Call(SocketHook.Connect4, 1, Vip, 81, IpProtocol.Tcp).Address);
        Assert.Equal(Vip, Call(SocketHook.Connect4, 1, Vip, 80, IpProtocol.Udp).Address);
        Assert.Equal("192.0.2.7", Call(SocketHook.Connect4, 1, "192.0.2.7", 80, IpProtocol.Tcp).Address);

        Assert.Empty(_sockets.Apply([]));
        Assert.Equal(Vip, Call(SocketHook.Connect4, 2, Vip, 80, IpProtocol.Tcp).Address);
    }

    [Fact]
    public void Sockets_follow_the_weights()
    {
        Serve(EdgeBed.Service("a", Vip, 80, IpProtocol.Tcp, EdgeBed.Backend("10.1.0.1", 80), EdgeBed.Backend("10.1.0.2", 80, 3)));
        var first = Enumerable.Range(1, 4000).Count(cookie => Call(SocketHook.Connect4, (ulong)cookie, Vip, 80, IpProtocol.Tcp).Address == "10.1.0.1");
        Assert.InRange(first, 900, 1100);
    }

    [Theory]
    [InlineData(Vip, "10.1.0.1", "10.1.0.2")]
    [InlineData(Vip6, "2001:db8:b::1", "2001:db8:b::2")]
    public void An_unconnected_socket_keeps_its_backend_while_it_is_one_and_then_moves_on(string vip, string one, string two)
    {
        var isIPv6 = vip == Vip6;
        var (send, receive) = isIPv6 ? (SocketHook.SendMessage6, SocketHook.ReceiveMessage6) : (SocketHook.SendMessage4, SocketHook.ReceiveMessage4);
        Serve(EdgeBed.Service("a", vip, 53, IpProtocol.Udp, EdgeBed.Backend(one, 5353)));
        Assert.Equal(one, Call(send, 5, vip, 53, IpProtocol.Udp).Address);
        Serve(EdgeBed.Service("a", vip, 53, IpProtocol.Udp, EdgeBed.Backend(one, 5353), EdgeBed.Backend(two, 5353, 999)));
        Assert.Equal(one, Call(send, 5, vip, 53, IpProtocol.Udp).Address);
        Assert.Equal(two, Enumerable.Range(100, 3).Select(c => Call(send, (ulong)c, vip, 53, IpProtocol.Udp).Address).First());

        Serve(EdgeBed.Service("a", vip, 53, IpProtocol.Udp, EdgeBed.Backend(two, 5353)));
        Assert.Equal(two, Call(send, 5, vip, 53, IpProtocol.Udp).Address);
        // Late answers of the one are still the service's.
        Assert.Equal((CgroupVerdict.Allow, vip, 53), Call(receive, 5, one, 5353, IpProtocol.Udp));
        Assert.Equal((CgroupVerdict.Allow, vip, 53), Call(receive, 5, two, 5353, IpProtocol.Udp));
        Assert.Equal((CgroupVerdict.Allow, two, 5353), Call(receive, 6, two, 5353, IpProtocol.Udp));
    }

    [Fact]
    public void A_forgotten_half_of_what_a_socket_was_given_comes_back_with_the_next_datagram()
    {
        Serve(EdgeBed.Service("a", Vip, 53, IpProtocol.Udp, EdgeBed.Backend("10.1.0.1", 53)));
        Call(SocketHook.SendMessage4, 5, Vip, 53, IpProtocol.Udp);
        var reply = _maps.Peers.Keys.Single(k => k.Direction == (ushort)ConnectionDirection.Reply);
        _maps.Peers.Remove(in reply);
        Assert.Equal("10.1.0.1", Call(SocketHook.ReceiveMessage4, 5, "10.1.0.1", 53, IpProtocol.Udp).Address);
        Call(SocketHook.SendMessage4, 5, Vip, 53, IpProtocol.Udp);
        Assert.Equal(Vip, Call(SocketHook.ReceiveMessage4, 5, "10.1.0.1", 53, IpProtocol.Udp).Address);
    }

    [Fact]
    public void A_service_without_backends_refuses_like_a_closed_port()
    {
        _bed.State.Balancer.Apply([EdgeBed.Service("a", Vip, 80, IpProtocol.Tcp)]);
        _sockets.Apply([EdgeBed.Service("a", Vip, 80, IpProtocol.Tcp)]);
        Assert.Equal((CgroupVerdict.Refuse, Vip, 80), Call(SocketHook.Connect4, 1, Vip, 80, IpProtocol.Tcp));
        Assert.Equal(-111, _bed.Twin.Environment.ReturnValue);
        var older = new SocketBalancerProgram(_bed.Maps.Balancing, _maps, SocketHook.Connect4, saysWhy: false);
        Assert.Equal(CgroupVerdict.Refuse, Call(older, 1, Vip, 80, IpProtocol.Tcp).Verdict);
        Assert.Equal(0, _bed.Twin.Environment.ReturnValue);
    }

    [Fact]
    public void Structs_in_maps_have_the_documented_sizes() => Assert.Equal((32, 24), (sizeof(SocketKey), sizeof(SocketPeer)));

    private void Serve(params ServiceModel[] services)
    {
        Assert.Empty(_bed.State.Balancer.Apply(services));
        Assert.Empty(_sockets.Apply(services));
    }

    private (CgroupVerdict Verdict, string Address, int Port) Call(SocketHook hook, ulong cookie, string address, ushort port, IpProtocol protocol) =>
        Call(_sockets.Programs[(int)hook], cookie, address, port, protocol);

    private (CgroupVerdict Verdict, string Address, int Port) Call(SocketBalancerProgram program, ulong cookie, string address, ushort port, IpProtocol protocol)
    {
        var asked = IpAddress.Parse(address);
        var isIPv6 = program.Section[^1] == '6';
        // In the process a socket's cookie is its address.
        var context = new CgroupSockAddrContext
        {
            UserFamily = isIPv6 ? 10u : 2, Protocol = (uint)protocol, UserPort = NetworkUInt16.From(port).Raw, UserIp4 = isIPv6 ? 0 : asked.RawIPv4, Socket = (SocketContext*)cookie,
        };
        if (isIPv6)
        {
            context.SetUserIp6(0, (uint)asked.RawUpper);
            context.SetUserIp6(1, (uint)(asked.RawUpper >> 32));
            context.SetUserIp6(2, (uint)asked.RawLower);
            context.SetUserIp6(3, (uint)(asked.RawLower >> 32));
        }

        var verdict = _bed.Twin.Run(program, ref context);
        var given = isIPv6
            ? new IpAddress(context.UserIp6(0) | ((ulong)context.UserIp6(1) << 32), context.UserIp6(2) | ((ulong)context.UserIp6(3) << 32))
            : IpAddress.FromRawIPv4(context.UserIp4);
        return (verdict, given.ToString(), NetworkUInt16.FromRaw((ushort)context.UserPort).Value);
    }
}
