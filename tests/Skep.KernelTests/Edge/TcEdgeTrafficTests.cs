using System.Net;
using System.Net.Sockets;
using Skep.Balancing;
using Skep.Bpf.Maps;
using Skep.Edge;
using Skep.KernelTests.Surroundings;
using Skep.Packets;

namespace Skep.KernelTests.Edge;

/// <summary>Real traffic between namespaces through the edge at traffic control, with every offload of the devices on.</summary>
public sealed class TcEdgeTrafficTests : IDisposable
{
    private const ushort VirtualPort = 80, ServerPort = 8080;

    private readonly EdgeMaps _maps;
    private readonly EdgeState _state;
    private readonly EdgeOptions _options = new() { RingSize = 251, MaxServices = 8, MaxBackends = 16, MaxConnections = 1024, BlockAddresses = false, BlockPrefixes = false };

    public TcEdgeTrafficTests()
    {
        Kernel.Require();
        _maps = new EdgeMaps(_options);
        foreach (var map in _maps.All)
        {
            map.Bind(KernelMapStorage.Create(map));
        }

        _state = new EdgeState(_maps, TimeProvider.System);
        Assert.Empty(_state.Balancer.Apply([.. from isIPv6 in new[] { false, true }
                                               from protocol in new[] { IpProtocol.Tcp, IpProtocol.Udp }
                                               select new ServiceModel(
                                                   "web", IpAddress.From(BalancedPath.VirtualAddress(isIPv6)), VirtualPort, protocol,
                                                   [new BackendModel(IpAddress.From(BalancedPath.ServerAddress(isIPv6)), ServerPort)])]));
    }

    public void Dispose()
    {
        foreach (var map in _maps.All)
        {
            map.Dispose();
        }
    }

    [KernelTheory]
    [InlineData(false, Way.ByTheStack)]
    [InlineData(true, Way.ByTheStack)]
    [InlineData(false, Way.ToTheNeighbour)]
    [InlineData(true, Way.ToTheNeighbour)]
    [InlineData(false, Way.ToThePeer)]
    [InlineData(true, Way.ToThePeer)]
    public void Bulk_in_both_directions_arrives_whole_and_is_counted_as_on_the_wire(bool isIPv6, Way way)
    {
        const int size = 24 << 20;
        using var path = Path(way);
        using var listener = path.Server.Run(() =>
        {
            var socket = new Socket(Family(isIPv6), SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(BalancedPath.ServerAddress(isIPv6), ServerPort));
            socket.Listen();
            return socket;
        });
        var echo = Task.Run(() =>
        {
            using var accepted = listener.Accept();
            accepted.ReceiveTimeout = accepted.SendTimeout = 20_000;
            var buffer = new byte[1 << 17];
            for (int n; (n = accepted.Receive(buffer)) > 0;)
            {
                for (var sent = 0; sent < n;)
                {
                    sent += accepted.Send(buffer.AsSpan(sent, n - sent));
                }
            }
        });
        using var client = path.Client.Run(() => new Socket(Family(isIPv6), SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 20_000, SendTimeout = 20_000 });
        client.Connect(new IPEndPoint(BalancedPath.VirtualAddress(isIPv6), VirtualPort));
        var data = new byte[size];
        new Random(1).NextBytes(data);
        var sender = Task.Run(() =>
        {
            for (var sent = 0; sent < size;)
            {
                sent += client.Send(data.AsSpan(sent));
            }

            client.Shutdown(SocketShutdown.Send);
        });
        var received = new byte[size];
        for (var length = 0; length < size;)
        {
            var n = client.Receive(received.AsSpan(length));
            Assert.True(n > 0, $"the connection ended after {length} bytes");
            length += n;
        }

        sender.GetAwaiter().GetResult();
        echo.GetAwaiter().GetResult();
        Assert.True(received.AsSpan().SequenceEqual(data), "other bytes came back than were sent");
        var counters = _state.ReadCounters();
        // Far fewer packets would be one per buffer, far more none: as many as the payload fills at 1448 or 1428 bytes, and every byte twice.
        Assert.InRange(counters[EdgeVerdict.Forwarded].Packets, (ulong)(size / 1449), (ulong)(size / 1449) * 3);
        Assert.InRange(counters[EdgeVerdict.Forwarded].Bytes, (ulong)size, (ulong)size * 2);
        Assert.InRange(counters[EdgeVerdict.Replied].Bytes, (ulong)size, (ulong)size * 2);

        // What is handed to the other end does not leave by the device.
        Assert.Equal(way == Way.ToThePeer, path.BytesSentToServer < size);
    }

    [KernelTheory]
    [InlineData(false, Way.ByTheStack)]
    [InlineData(true, Way.ByTheStack)]
    [InlineData(false, Way.ToTheNeighbour)]
    [InlineData(true, Way.ToTheNeighbour)]
    [InlineData(false, Way.ToThePeer)]
    [InlineData(true, Way.ToThePeer)]
    public void Datagrams_and_their_fragments_arrive(bool isIPv6, Way way)
    {
        using var path = Path(way);
        using var server = path.Server.Run(() => new Socket(Family(isIPv6), SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 10_000 });
        server.Bind(new IPEndPoint(BalancedPath.ServerAddress(isIPv6), ServerPort));
        using var client = path.Client.Run(() => new Socket(Family(isIPv6), SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 10_000 });
        client.Connect(new IPEndPoint(BalancedPath.VirtualAddress(isIPv6), VirtualPort));
        foreach (var size in new[] { 1, 1000, 5000, 20_000 })
        {
            var data = new byte[size];
            new Random(size).NextBytes(data);
            client.Send(data);
            var buffer = new byte[65536];
            EndPoint from = new IPEndPoint(isIPv6 ? IPAddress.IPv6Any : IPAddress.Any, 0);
            var n = server.ReceiveFrom(buffer, ref from);
            Assert.True(buffer.AsSpan(0, n).SequenceEqual(data), $"a datagram of {size} bytes came as {n}");
            server.SendTo(buffer.AsSpan(0, n), from);
            Assert.Equal(size, client.Receive(buffer));
        }
    }

    /// <summary>How packets go on.</summary>
    public enum Way
    {
        ByTheStack,
        ToTheNeighbour,
        ToThePeer,
    }

    private BalancedPath Path(Way way)
    {
        var path = new BalancedPath(new TcEdgeProgram(_maps, _options with { BypassStack = way != Way.ByTheStack }));
        foreach (var device in path.Devices.Where(d => d is { LeadsElsewhere: true, Kind: "veth" }))
        {
            _maps.Peers.Set((uint)device.Index, way == Way.ToThePeer ? 1u : 0u);
        }

        return path;
    }

    private static AddressFamily Family(bool isIPv6) => isIPv6 ? AddressFamily.InterNetworkV6 : AddressFamily.InterNetwork;
}
