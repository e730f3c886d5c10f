using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Skep.Balancing;
using Skep.Bpf.Maps;
using Skep.Edge;
using Skep.KernelTests.Surroundings;
using Skep.Packets;

namespace Skep.KernelTests.Edge;

/// <summary>Real sockets in namespaces through a balancer that shows backends an own address, and the errors that it makes itself.</summary>
public sealed class SourceTranslationTrafficTests : IDisposable
{
    private const ushort VirtualPort = 80, ServerPort = 8080;

    private readonly EdgeOptions _options = new()
    {
        RingSize = 251, MaxServices = 8, MaxBackends = 16, MaxConnections = 1024, BlockAddresses = false, BlockPrefixes = false, TranslateSources = true,
    };

    private readonly EdgeMaps _maps;
    private readonly EdgeState _state;

    public SourceTranslationTrafficTests()
    {
        Kernel.Require();
        _maps = new EdgeMaps(_options);
        foreach (var map in _maps.All)
        {
            map.Bind(KernelMapStorage.Create(map));
        }

        _state = new EdgeState(_maps, TimeProvider.System);
        Serve(translates: true);
    }

    public void Dispose()
    {
        foreach (var map in _maps.All)
        {
            map.Dispose();
        }
    }

    [KernelTheory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public void The_server_sees_an_own_address_and_a_port_of_the_range(bool isIPv6, bool bypassStack)
    {
        using var path = new BalancedPath(new TcEdgeProgram(_maps, _options with { BypassStack = bypassStack }));
        using var listener = Listen(path.Server, isIPv6);
        AssertSees(path.Client, listener, isIPv6, size: 3_000_000);

        using var server = Bound(path.Server, BalancedPath.ServerAddress(isIPv6), ServerPort);
        using var client = Bound(path.Client, BalancedPath.ClientAddress(isIPv6), 0);
        foreach (var size in new[] { 1, 1000, 5000 })
        {
            var data = new byte[size];
            new Random(size).NextBytes(data);
            client.SendTo(data, new IPEndPoint(BalancedPath.VirtualAddress(isIPv6), VirtualPort));
            var buffer = new byte[65536];
            EndPoint from = new IPEndPoint(isIPv6 ? IPAddress.IPv6Any : IPAddress.Any, 0);
            var n = server.ReceiveFrom(buffer, ref from);
            Assert.True(buffer.AsSpan(0, n).SequenceEqual(data));
            AssertOwn((IPEndPoint)from, isIPv6);
            server.SendTo(buffer.AsSpan(0, n), from);
            EndPoint back = new IPEndPoint(isIPv6 ? IPAddress.IPv6Any : IPAddress.Any, 0);
            Assert.Equal(size, client.ReceiveFrom(buffer, ref back));
            Assert.Equal(new IPEndPoint(BalancedPath.VirtualAddress(isIPv6), VirtualPort), back);
        }
    }

    [KernelTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_server_reaches_itself_through_the_virtual_address(bool isIPv6)
    {
        Serve(translates: true, onlyBackends: true);
        using var path = new BalancedPath(new TcEdgeProgram(_maps, _options));
        using var listener = Listen(path.Server, isIPv6);
        AssertSees(path.Server, listener, isIPv6, size: 200_000);
    }

    [KernelTheory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public void The_last_hop_tells_the_client_about_the_packet_that_it_sent(bool isIPv6, bool translates)
    {
        Serve(translates);
        using var path = new BalancedPath(new TcEdgeProgram(_maps, _options), new HostErrorProgram(_maps, translatesSources: true));
        using var client = Bound(path.Client, BalancedPath.ClientAddress(isIPv6), 0);
        using var errors = Errors(path.Client, isIPv6);
        client.Ttl = 1;
        client.SendTo(new byte[20], new IPEndPoint(BalancedPath.VirtualAddress(isIPv6), VirtualPort));
        var error = ReceiveError(errors, isIPv6, type: isIPv6 ? 3 : 11);
        Assert.Equal(((IPEndPoint)client.LocalEndPoint!, new IPEndPoint(BalancedPath.VirtualAddress(isIPv6), VirtualPort)), error);
    }

    [KernelTheory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public void A_narrow_link_before_the_server_is_told_to_the_client(bool isIPv6, bool translates)
    {
        Serve(translates);
        using var path = new BalancedPath(new TcEdgeProgram(_maps, _options), new HostErrorProgram(_maps, translatesSources: true));
        path.Middle.Run(() => RtNetlink.SetMtu(path.ToServer, 1300));
        using var client = Bound(path.Client, BalancedPath.ClientAddress(isIPv6), 0);
        using var errors = Errors(path.Client, isIPv6);
        client.SendTo(new byte[1400], new IPEndPoint(BalancedPath.VirtualAddress(isIPv6), VirtualPort));
        var error = ReceiveError(errors, isIPv6, type: isIPv6 ? 2 : 3);
        Assert.Equal(((IPEndPoint)client.LocalEndPoint!, new IPEndPoint(BalancedPath.VirtualAddress(isIPv6), VirtualPort)), error);
    }

    [KernelTheory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public void A_narrow_link_before_the_client_is_told_to_the_server(bool isIPv6, bool translates)
    {
        Serve(translates);
        using var path = new BalancedPath(new TcEdgeProgram(_maps, _options), new HostErrorProgram(_maps, translatesSources: true));
        path.Middle.Run(() =>
        {
            RtNetlink.SetMtu(path.ToClient, 1300);
            // The error is addressed to the virtual address, where the answer seems to come from: the way there has to be known.
            RtNetlink.AddRoute(isIPv6 ? IPAddress.IPv6Any : IPAddress.Any, 0, BalancedPath.ClientAddress(isIPv6));
        });
        using var client = Bound(path.Client, BalancedPath.ClientAddress(isIPv6), 0);
        using var server = Bound(path.Server, BalancedPath.ServerAddress(isIPv6), ServerPort);
        using var errors = Errors(path.Server, isIPv6);
        client.SendTo(new byte[20], new IPEndPoint(BalancedPath.VirtualAddress(isIPv6), VirtualPort));
        EndPoint from = new IPEndPoint(isIPv6 ? IPAddress.IPv6Any : IPAddress.Any, 0);
        server.ReceiveFrom(new byte[100], ref from);
        server.SendTo(new byte[1400], from);
        var error = ReceiveError(errors, isIPv6, type: isIPv6 ? 2 : 3);
        Assert.Equal(((IPEndPoint)server.LocalEndPoint!, (IPEndPoint)from), error);
    }

    private void Serve(bool translates, bool onlyBackends = false) => Assert.Empty(_state.Balancer.Apply([
        .. from isIPv6 in new[] { false, true }
           from protocol in new[] { IpProtocol.Tcp, IpProtocol.Udp }
           select new ServiceModel(
               "web", IpAddress.From(BalancedPath.VirtualAddress(isIPv6)), VirtualPort, protocol,
               [new BackendModel(IpAddress.From(BalancedPath.ServerAddress(isIPv6)), ServerPort)])
           {
               SourceTranslation = translates ? new([IpAddress.From(BalancedPath.OwnAddress(isIPv6))]) { OnlyBackends = onlyBackends } : null,
           }]));

    private static void AssertSees(TestNamespace where, Socket listener, bool isIPv6, int size)
    {
        using var client = where.Run(() => new Socket(Family(isIPv6), SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 20_000, SendTimeout = 20_000 });
        var accepting = listener.AcceptAsync();
        client.Connect(new IPEndPoint(BalancedPath.VirtualAddress(isIPv6), VirtualPort));
        using var accepted = accepting.GetAwaiter().GetResult();
        AssertOwn((IPEndPoint)accepted.RemoteEndPoint!, isIPv6);
        accepted.ReceiveTimeout = 20_000;
        var data = new byte[size];
        new Random(1).NextBytes(data);
        var sending = Task.Run(() =>
        {
            for (var sent = 0; sent < size;)
            {
                sent += accepted.Send(data.AsSpan(sent));
            }
        });
        var received = new byte[size];
        for (var length = 0; length < size;)
        {
            var n = client.Receive(received.AsSpan(length));
            Assert.True(n > 0, $"the connection ended after {length} bytes");
            length += n;
        }

        sending.GetAwaiter().GetResult();
        Assert.True(received.AsSpan().SequenceEqual(data));
    }

    private static void AssertOwn(IPEndPoint seen, bool isIPv6)
    {
        Assert.Equal(BalancedPath.OwnAddress(isIPv6), seen.Address);
        Assert.InRange(seen.Port, 1024, 32767);
    }

    private static Socket Listen(TestNamespace where, bool isIPv6) => where.Run(() =>
    {
        var socket = new Socket(Family(isIPv6), SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(BalancedPath.ServerAddress(isIPv6), ServerPort));
        socket.Listen();
        return socket;
    });

    private static Socket Bound(TestNamespace where, IPAddress address, ushort port) => where.Run(() =>
    {
        var socket = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 10_000 };
        socket.Bind(new IPEndPoint(address, port));
        return socket;
    });

    private static Socket Errors(TestNamespace where, bool isIPv6) => where.Run(() => isIPv6
        ? new Socket(AddressFamily.InterNetworkV6, SocketType.Raw, ProtocolType.IcmpV6) { ReceiveTimeout = 10_000 }
        : new Socket(AddressFamily.InterNetwork, SocketType.Raw, ProtocolType.Icmp) { ReceiveTimeout = 10_000 });

    /// <summary>Ends of the packet that the next error of a type is about.</summary>
    private static (IPEndPoint From, IPEndPoint To) ReceiveError(Socket socket, bool isIPv6, int type)
    {
        var buffer = new byte[2048];
        while (true)
        {
            var length = socket.Receive(buffer);
            // A raw socket for IPv4 gives the header too.
            var message = buffer.AsSpan(isIPv6 ? 0 : 20, length - (isIPv6 ? 0 : 20));
            if (message[0] != type)
            {
                continue;
            }

            var inner = message[8..];
            var (addresses, size, ports) = isIPv6 ? (8, 16, 40) : (12, 4, 20);
            return (
                new IPEndPoint(new IPAddress(inner.Slice(addresses, size)), BinaryPrimitives.ReadUInt16BigEndian(inner[ports..])),
                new IPEndPoint(new IPAddress(inner.Slice(addresses + size, size)), BinaryPrimitives.ReadUInt16BigEndian(inner[(ports + 2)..])));
        }
    }

    private static AddressFamily Family(bool isIPv6) => isIPv6 ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork;
}
