using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Skep.KernelTests.Surroundings;
using Skep.Samples.Programs;

namespace Skep.KernelTests.Programs.Kinds;

/// <summary>What is attached is taken off by Detach, which works at once: a link that is only closed lasts while a child process of another test has the descriptor.</summary>
[Collection(ThreadCgroup.Collection)]
public sealed class CgroupKindTests : IDisposable
{
    private static readonly IPAddress s_service = IPAddress.Parse("127.9.9.9");
    private readonly TestNamespace _inside = new();
    private readonly ThreadCgroup _group;

    public CgroupKindTests() => _group = new ThreadCgroup(_inside);

    public void Dispose()
    {
        _group.Dispose();
        _inside.Dispose();
    }

    [Proves("cgroup connect")]
    [KernelFact]
    public void Connect_is_rewritten_to_another_destination() => _inside.Run(() =>
    {
        using var listener = Listen();
        var port = (ushort)((IPEndPoint)listener.LocalEndPoint!).Port;
        var program = new RewriteConnect(Word(s_service), Word(IPAddress.Loopback), BinaryPrimitives.ReverseEndianness(port));
        using (var link = program.Attach(_group.Path))
        {
            using var client = Stream();
            client.Connect(s_service, 80);
            using var accepted = listener.Accept();
            Assert.Equal(1ul, program.Rewritten.Value);
            Assert.Equal(listener.LocalEndPoint, client.RemoteEndPoint);
            link.Detach();
        }

        using var later = Stream();
        Assert.Throws<SocketException>(() => later.Connect(s_service, 80));
        Assert.Equal(1ul, program.Rewritten.Value);
    });

    [Proves("cgroup sock")]
    [KernelFact]
    public void A_socket_is_marked_when_it_is_created_and_a_raw_one_refused() => _inside.Run(() =>
    {
        using (var link = new MarkSockets(0x5ca1ab1e).Attach(_group.Path))
        {
            using var marked = Stream();
            Assert.Equal(0x5ca1ab1e, Mark(marked));
            Assert.Throws<SocketException>(() => new Socket(AddressFamily.InterNetwork, SocketType.Raw, ProtocolType.Icmp));
            link.Detach();
        }

        using var unmarked = Stream();
        Assert.Equal(0, Mark(unmarked));
        new Socket(AddressFamily.InterNetwork, SocketType.Raw, ProtocolType.Icmp).Dispose();
    });

    [Proves("cgroup skb")]
    [KernelFact]
    public void Packets_of_the_group_are_counted_and_one_port_is_dropped() => _inside.Run(() =>
    {
        using var blocked = Datagram();
        using var open = Datagram();
        using var sender = Datagram();
        var program = new CountSentBytes(BinaryPrimitives.ReverseEndianness((ushort)((IPEndPoint)blocked.LocalEndPoint!).Port));
        using (var link = program.Attach(_group.Path))
        {
            Assert.Throws<SocketException>(() => sender.SendTo([1], blocked.LocalEndPoint!));
            sender.SendTo([1, 2, 3], open.LocalEndPoint!);
            Assert.Equal(20ul + 8 + 3, program.Bytes.Value);
            link.Detach();
        }

        sender.SendTo([1], blocked.LocalEndPoint!);
        Assert.Equal(1, blocked.Receive(new byte[8]));
    });

    [Proves("cgroup sockopt")]
    [KernelFact]
    public void A_socket_option_is_hidden_behind_another_value() => _inside.Run(() =>
    {
        using var socket = Stream();
        socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.TypeOfService, 16);
        using (var link = new HideSocketOption(4).Attach(_group.Path))
        {
            Assert.Equal(4, TypeOfService(socket));
            Assert.NotEqual(0, (int)socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.SendBuffer)!);
            link.Detach();
        }

        Assert.Equal(16, TypeOfService(socket));
    });

    [Proves("cgroup sysctl")]
    [KernelFact]
    public void A_write_of_a_sysctl_is_refused_and_a_read_allowed() => _inside.Run(() =>
    {
        const string path = "/proc/sys/net/ipv4/ip_default_ttl";
        var program = new GuardSysctls();
        using (var link = program.Attach(_group.Path))
        {
            Assert.ThrowsAny<UnauthorizedAccessException>(() => File.WriteAllText(path, "77"));
            Assert.Equal(1ul, program.Refused.Value);
            Assert.NotEqual("77", File.ReadAllText(path).Trim());
            link.Detach();
        }

        File.WriteAllText(path, "77");
        Assert.Equal("77", File.ReadAllText(path).Trim());
    });

    [Proves("cgroup device")]
    [KernelFact]
    public void A_device_cannot_be_opened() => _inside.Run(() =>
    {
        using (var link = new GuardDevice(1, 5).Attach(_group.Path))
        {
            Assert.ThrowsAny<UnauthorizedAccessException>(() => File.OpenRead("/dev/zero"));
            File.OpenRead("/dev/null").Dispose();
            link.Detach();
        }

        File.OpenRead("/dev/zero").Dispose();
    });

    [Proves("sockops")]
    [KernelFact]
    public void Connections_are_seen_as_they_are_established_and_closed() => _inside.Run(() =>
    {
        var program = new CountConnections();
        using var link = program.Attach(_group.Path);
        using var listener = Listen();
        var client = Stream();
        client.Connect(listener.LocalEndPoint!);
        var accepted = listener.Accept();

        // Both ends are sockets of the group.
        Assert.Equal(2ul, program.Established.Value);
        client.Close();
        accepted.Close();
        Eventually.True(() => program.Ended.Value == 2, "both ends were closed");
    });

    private static Socket Listen()
    {
        var listener = Stream();
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        return listener;
    }

    private static Socket Stream() => new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    private static Socket Datagram()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 10_000 };
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return socket;
    }

    private static int Mark(Socket socket)
    {
        var value = new byte[4];
        socket.GetRawSocketOption(1, 36, value);
        return BitConverter.ToInt32(value);
    }

    private static int TypeOfService(Socket socket)
    {
        var value = new byte[4];
        socket.GetRawSocketOption(0, 1, value);
        return value[0];
    }

    private static uint Word(IPAddress address) => BitConverter.ToUInt32(address.GetAddressBytes());
}
