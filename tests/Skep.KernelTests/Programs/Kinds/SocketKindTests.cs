using System.Net;
using System.Net.Sockets;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.KernelTests.Surroundings;
using Skep.Samples.Programs;

namespace Skep.KernelTests.Programs.Kinds;

public sealed class SocketKindTests : IDisposable
{
    private const int ReusePort = 15;
    private readonly TestNamespace _inside = new();

    public void Dispose() => _inside.Dispose();

    [Proves("sk_lookup")]
    [KernelFact]
    public void A_range_of_ports_reaches_one_listener() => _inside.Run(() =>
    {
        using var listener = Stream();
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var steer = new SteerPorts(7000, 7099);
        using (var link = steer.Attach(listener))
        {
            using var client = Stream();
            client.Connect(IPAddress.Loopback, 7042);
            using var accepted = listener.Accept();
            Assert.Equal(7042, ((IPEndPoint)accepted.LocalEndPoint!).Port);
            using var outside = Stream();
            Assert.Throws<SocketException>(() => outside.Connect(IPAddress.Loopback, 7100));

            // At once, also while a child process of another test still has the descriptor.
            link.Detach();
        }

        using var later = Stream();
        Assert.Throws<SocketException>(() => later.Connect(IPAddress.Loopback, 7042));
    });

    [Proves("sk_msg")]
    [KernelFact]
    public void A_message_goes_past_the_network_to_the_other_socket() => _inside.Run(() =>
    {
        var (one, other) = Pair();
        using (one)
        using (other)
        {
            var program = new ShortcutSockets();
            using var link = program.Attach(one, other);
            Assert.True(program.Sockets.TryGetCookie((uint)((IPEndPoint)one.LocalEndPoint!).Port, out var cookie));
            Assert.NotEqual(0ul, cookie);
            var segments = SegmentsReceived(other);

            one.Send("shortcut"u8);

            Assert.Equal("shortcut"u8.ToArray(), Receive(other, 8));
            Assert.Equal(segments, SegmentsReceived(other));
        }
    });

    [Proves("sk_skb")]
    [KernelFact]
    public void What_one_connection_receives_another_sends() => _inside.Run(() =>
    {
        var (client, inner) = Pair();
        var (server, outer) = Pair();
        using var sockets = new Sockets(client, inner, server, outer);
        var program = new RelaySockets();
        using (program.Attach(inner, outer))
        {
            client.Send("through"u8);
            Assert.Equal("through"u8.ToArray(), Receive(server, 7));
            server.Send("back"u8);
            Assert.Equal("back"u8.ToArray(), Receive(client, 4));
        }
    });

    [Proves("sk_skb parser")]
    [KernelFact]
    public void A_parser_cuts_the_stream_into_messages() => _inside.Run(() =>
    {
        var (one, other) = Pair();
        using var sockets = new Sockets(one, other);
        var counter = new CountMessages();
        using var parser = ProgramLoader.Load(ProgramCompiler.Compile(new FourBytes()));
        using var verdict = ProgramLoader.Load(ProgramCompiler.Compile(counter));
        using var first = SocketMapLink.Attach(parser, counter.Sockets);
        using var second = SocketMapLink.Attach(verdict, counter.Sockets);
        counter.Sockets.Set(0, other.SafeHandle);

        one.Send("aaaabbbbccccdd"u8);

        Assert.Equal("aaaabbbbcccc"u8.ToArray(), Receive(other, 12));
        Assert.Equal(3ul, counter.Messages.Value);
        one.Send("dd"u8);
        Assert.Equal("dddd"u8.ToArray(), Receive(other, 4));
        Assert.Equal(4ul, counter.Messages.Value);
    });

    [Proves("sk_reuseport")]
    [KernelFact]
    public void The_first_byte_chooses_among_sockets_on_one_port() => _inside.Run(() =>
    {
        using var even = Shared(0);
        using var odd = Shared(((IPEndPoint)even.LocalEndPoint!).Port);
        var program = new ChooseByFirstByte();
        using var link = program.Attach(even, odd);
        using var sender = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        for (byte i = 0; i < 16; i++)
        {
            sender.SendTo([i], even.LocalEndPoint!);
        }

        for (byte i = 0; i < 16; i++)
        {
            Assert.Equal([i], Receive(i % 2 == 0 ? even : odd, 1));
        }
    });

    [Proves("socket filter")]
    [KernelFact]
    public void A_filter_keeps_datagrams_from_a_socket_until_it_is_detached() => _inside.Run(() =>
    {
        using var receiver = Shared(0);
        using var sender = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        using (new KeepMarkedDatagrams((byte)'!').Attach(receiver))
        {
            sender.SendTo("no"u8, receiver.LocalEndPoint!);
            sender.SendTo("!yes"u8, receiver.LocalEndPoint!);
            Assert.Equal("!yes"u8.ToArray(), Receive(receiver, 4));
        }

        sender.SendTo("no"u8, receiver.LocalEndPoint!);
        Assert.Equal("no"u8.ToArray(), Receive(receiver, 2));
    });

    [KernelFact]
    public void A_program_of_another_type_is_refused_by_name() => _inside.Run(() =>
    {
        using var socket = Shared(0);
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(new CountPackets()));
        var refusal = Assert.Throws<Skep.Bpf.BpfException>(() => SocketLink.Attach(program, socket));
        Assert.Contains("CountPackets", refusal.Message, StringComparison.Ordinal);
    });

    private static (Socket One, Socket Other) Pair()
    {
        using var listener = Stream();
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var client = Stream();
        client.Connect(listener.LocalEndPoint!);
        var accepted = listener.Accept();
        accepted.ReceiveTimeout = 10_000;
        return (client, accepted);
    }

    private static Socket Stream() => new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 10_000, NoDelay = true };

    private static Socket Shared(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 10_000 };
        socket.SetRawSocketOption(1, ReusePort, BitConverter.GetBytes(1));
        socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
        return socket;
    }

    private static byte[] Receive(Socket socket, int length)
    {
        var buffer = new byte[length];
        for (var at = 0; at < length;)
        {
            at += socket.Receive(buffer.AsSpan(at));
        }

        return buffer;
    }

    /// <summary>Segments with data that the connection received (<c>tcpi_data_segs_in</c> of TCP_INFO).</summary>
    private static uint SegmentsReceived(Socket socket)
    {
        var info = new byte[192];
        socket.GetRawSocketOption(6, 11, info);
        return BitConverter.ToUInt32(info, 152);
    }

    private sealed class FourBytes : StreamParserProgram
    {
        public override int Run(ref SkbContext context) => context.Length < 4 ? 0 : 4;
    }

    private sealed class CountMessages : SkSkbProgram
    {
        private readonly SockMap _sockets = new(1, "sockets");

        public SockMap Sockets => _sockets;

        public Global<ulong> Messages { get; } = new("messages");

        public override SkVerdict Run(ref SkbContext context)
        {
            Interlocked.Increment(ref Messages.Value);

            // The map must be known to the program to be made with it; no message is this long.
            return context.Length == uint.MaxValue ? _sockets.Redirect(ref context, 0, SocketQueue.Egress) : SkVerdict.Pass;
        }
    }

    private sealed class Sockets(params Socket[] all) : IDisposable
    {
        public void Dispose() => Array.ForEach(all, socket => socket.Dispose());
    }
}
