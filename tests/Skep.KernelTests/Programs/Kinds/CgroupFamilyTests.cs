using System.Net;
using System.Net.Sockets;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.Programs.Kinds;

/// <summary>The other hooks of the kinds on control groups.</summary>
[Collection(ThreadCgroup.Collection)]
public sealed class CgroupFamilyTests : IDisposable
{
    private static readonly IPAddress s_shown = IPAddress.Parse("192.0.2.1"), s_shown6 = IPAddress.Parse("2001:db8::1");
    private readonly TestNamespace _inside = new();
    private readonly ThreadCgroup _group;

    public CgroupFamilyTests() => _group = new ThreadCgroup(_inside);

    public void Dispose()
    {
        _group.Dispose();
        _inside.Dispose();
    }

    [KernelFact]
    public void Datagrams_go_elsewhere_and_seem_to_come_from_there() => _inside.Run(() =>
    {
        using var server = Datagram(IPAddress.Loopback);
        using var client = Datagram(IPAddress.Loopback);
        var port = ((IPEndPoint)server.LocalEndPoint!).Port;
        using var send = Attach(new Translate("cgroup/sendmsg4", s_shown, IPAddress.Loopback));
        using var receive = Attach(new Translate("cgroup/recvmsg4", IPAddress.Loopback, s_shown));

        client.SendTo([5], new IPEndPoint(s_shown, port));
        EndPoint from = new IPEndPoint(IPAddress.Any, 0);
        Assert.Equal(1, server.ReceiveFrom(new byte[4], ref from));
        Assert.Equal(s_shown, ((IPEndPoint)from).Address);
    });

    [KernelFact]
    public void A_connection_over_IPv6_goes_elsewhere_and_shows_what_was_asked_for() => _inside.Run(() =>
    {
        using var listener = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.IPv6Loopback, 0));
        listener.Listen();
        var asked = new IPEndPoint(s_shown6, ((IPEndPoint)listener.LocalEndPoint!).Port);
        using var connect = Attach(new Translate6("cgroup/connect6", s_shown6, IPAddress.IPv6Loopback));
        using var peer = Attach(new Translate6("cgroup/getpeername6", IPAddress.IPv6Loopback, s_shown6));
        using var client = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);

        client.Connect(asked);

        Assert.Equal(asked, client.RemoteEndPoint);
        using var accepted = listener.Accept();
    });

    [KernelFact]
    public void A_name_of_a_socket_is_shown_as_another() => _inside.Run(() =>
    {
        using var hidden = Attach(new Translate("cgroup/getsockname4", IPAddress.Loopback, s_shown));
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        Assert.Equal(s_shown, ((IPEndPoint)socket.LocalEndPoint!).Address);
    });

    [KernelFact]
    public void Binding_to_any_address_is_narrowed_and_a_port_refused_after_it() => _inside.Run(() =>
    {
        using var narrow = Attach(new Translate("cgroup/bind4", IPAddress.Any, IPAddress.Loopback));
        using var refuse = Attach(new RefusePort(4711));
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Any, 0));
        Assert.Equal(IPAddress.Loopback, ((IPEndPoint)socket.LocalEndPoint!).Address);

        using var refused = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        Assert.Throws<SocketException>(() => refused.Bind(new IPEndPoint(IPAddress.Loopback, 4711)));
    });

    [KernelFact]
    public void Sockets_are_counted_when_they_are_closed() => _inside.Run(() =>
    {
        var program = new CountReleases();
        using var link = Attach(program);
        Datagram(IPAddress.Loopback).Dispose();
        Eventually.True(() => program.Released.Value == 1, "the socket was released");
    });

    [KernelFact]
    public void Packets_that_come_in_are_dropped() => _inside.Run(() =>
    {
        using var receiver = Datagram(IPAddress.Loopback);
        using var sender = Datagram(IPAddress.Loopback);
        var program = new DropIngress();
        using (var link = Attach(program))
        {
            sender.SendTo([1], receiver.LocalEndPoint!);
            Assert.Equal(1ul, program.Dropped.Value);
            link.Detach();
        }

        sender.SendTo([2, 2], receiver.LocalEndPoint!);
        Assert.Equal(2, receiver.Receive(new byte[4]));
    });

    [KernelFact]
    public void An_option_that_the_kernel_lacks_is_answered_by_the_program() => _inside.Run(() =>
    {
        var program = new OwnOption();
        using var link = Attach(program);
        using var socket = Datagram(IPAddress.Loopback);
        socket.SetRawSocketOption(0xbeef, 1, [42]);
        Assert.Equal(42u, program.Given.Value);
    });

    [KernelFact]
    public void An_anchor_puts_a_program_before_another()
    {
        using var first = ProgramLoader.Load(ProgramCompiler.Compile(new Translate("cgroup/bind4", IPAddress.Any, s_shown)));
        using var second = ProgramLoader.Load(ProgramCompiler.Compile(new Translate("cgroup/bind4", s_shown, IPAddress.Loopback)));
        using var last = CgroupLink.Attach(second, _group.Path);
        Kernel.Require(Environment.OSVersion.Version >= new Version(6, 17), "anchors on control groups came with kernel 6.17");
        using var before = CgroupLink.Attach(first, _group.Path, LinkAnchor.Before(last));

        // Only in this order does the one address lead to the other.
        _inside.Run(() =>
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            socket.Bind(new IPEndPoint(IPAddress.Any, 0));
            Assert.Equal(IPAddress.Loopback, ((IPEndPoint)socket.LocalEndPoint!).Address);
        });
    }

    private CgroupLink Attach(BpfProgram program)
    {
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program));
        return CgroupLink.Attach(loaded, _group.Path);
    }

    private static Socket Datagram(IPAddress address)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 10_000 };
        socket.Bind(new IPEndPoint(address, 0));
        return socket;
    }

    private static uint Word(IPAddress address, int index = 0) => BitConverter.ToUInt32(address.GetAddressBytes(), index * 4);

    private sealed class Translate(string section, IPAddress from, IPAddress to) : CgroupSockAddrProgram
    {
        private readonly uint _from = Word(from), _to = Word(to);

        public override string Section { get; } = section;

        public override CgroupVerdict Run(ref CgroupSockAddrContext context)
        {
            if (context.UserIp4 == _from)
            {
                context.UserIp4 = _to;
            }

            return CgroupVerdict.Allow;
        }
    }

    private sealed class Translate6(string section, IPAddress from, IPAddress to) : CgroupSockAddrProgram
    {
        private readonly uint _from0 = Word(from, 0), _from3 = Word(from, 3);
        private readonly uint _to0 = Word(to, 0), _to1 = Word(to, 1), _to2 = Word(to, 2), _to3 = Word(to, 3);

        public override string Section { get; } = section;

        public override CgroupVerdict Run(ref CgroupSockAddrContext context)
        {
            if (context.UserIp6(0) == _from0 && context.UserIp6(3) == _from3)
            {
                context.SetUserIp6(0, _to0);
                context.SetUserIp6(1, _to1);
                context.SetUserIp6(2, _to2);
                context.SetUserIp6(3, _to3);
            }

            return CgroupVerdict.Allow;
        }
    }

    private sealed class RefusePort(uint port) : CgroupSockProgram
    {
        private readonly uint _port = port;

        public override string Section => "cgroup/post_bind4";

        public override CgroupVerdict Run(ref SocketContext context) => context.SourcePort == _port ? CgroupVerdict.Refuse : CgroupVerdict.Allow;
    }

    private sealed class CountReleases : CgroupSockProgram
    {
        public Global<ulong> Released { get; } = new("released");

        public override string Section => "cgroup/sock_release";

        public override CgroupVerdict Run(ref SocketContext context)
        {
            Interlocked.Increment(ref Released.Value);
            return CgroupVerdict.Allow;
        }
    }

    private sealed class DropIngress : CgroupSkbProgram
    {
        public Global<ulong> Dropped { get; } = new("dropped");

        public override string Section => "cgroup_skb/ingress";

        public override CgroupVerdict Run(ref SkbContext context)
        {
            Interlocked.Increment(ref Dropped.Value);
            return CgroupVerdict.Refuse;
        }
    }

    private sealed unsafe class OwnOption : CgroupSockoptProgram
    {
        public Global<uint> Given { get; } = new("given");

        public override string Section => "cgroup/setsockopt";

        public override CgroupVerdict Run(ref CgroupSockoptContext context)
        {
            var value = context.OptionValue;
            if (context.Level != 0xbeef || value + 1 > context.OptionValueEnd)
            {
                return CgroupVerdict.Allow;
            }

            Given.Value = *value;

            // Not on to the kernel, which does not know the level.
            context.OptionLength = -1;
            return CgroupVerdict.Allow;
        }
    }
}
