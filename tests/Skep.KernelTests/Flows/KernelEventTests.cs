using System.Net;
using System.Net.Sockets;
using Skep.Bpf.Btf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Engine;
using Skep.Flows;
using Skep.KernelTests.Surroundings;
using Skep.Packets;

namespace Skep.KernelTests.Flows;

/// <summary>The tracepoint programs on real events, caused in a namespace of their own.</summary>
public class KernelEventTests
{
    [KernelTheory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public void A_datagram_for_a_closed_port_is_dropped_for_lack_of_a_socket(string address)
    {
        using var seen = new Seen(maps => new DropProgram(maps));
        using var network = new TestNamespace();
        var (from, to) = network.Run(() =>
        {
            using var socket = new Socket(IPAddress.Parse(address).AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            // Bound once and closed: certainly nobody's now.
            var port = FreePort(address);
            socket.Connect(IPAddress.Parse(address), port);
            socket.Send([1, 2, 3]);
            return (((IPEndPoint)socket.LocalEndPoint!).Port, port);
        });

        var key = Assert.Single(seen.Keys(k => k.SourcePort == from && k.DestinationPort == to));
        Assert.Equal(IpAddress.Parse(address), key.Source);
        Assert.Equal(IpAddress.Parse(address), key.Destination);
        Assert.Equal((uint)IpProtocol.Udp, key.Protocol);
        Assert.Equal("NO_SOCKET", DropReasons.OfKernel(BtfFile.Kernel).NameOf(key.Reason));
        Assert.Equal(1u, key.Interface);
    }

    [KernelTheory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public void A_connection_is_seen_from_SYN_to_close(string address)
    {
        using var seen = new Seen(maps => new SocketStateProgram(maps));
        using var network = new TestNamespace();
        var (from, to) = network.Run(() =>
        {
            using var listener = new TcpListener(IPAddress.Parse(address), 0);
            listener.Start();
            using var client = new TcpClient(IPAddress.Parse(address).AddressFamily);
            client.Connect((IPEndPoint)listener.LocalEndpoint);
            using var accepted = listener.AcceptTcpClient();
            return (((IPEndPoint)client.Client.LocalEndPoint!).Port, ((IPEndPoint)listener.LocalEndpoint).Port);
        });

        using var reader = new Bpf.Buffers.RingBufferReader<KernelEvent>(seen.Maps.Events);
        var changes = new List<(TcpState Old, TcpState New)>();
        reader.Drain((in KernelEvent e) =>
        {
            // While it is in the first state the socket has no port yet.
            if (e.Key.DestinationPort == to && e.Key.SourcePort == from)
            {
                Assert.Equal(IpAddress.Parse(address), e.Key.Source);
                Assert.Equal(IpAddress.Parse(address), e.Key.Destination);
                Assert.Equal((uint)IpProtocol.Tcp, e.Key.Protocol);
                Assert.Equal((uint)Environment.ProcessId, (uint)(e.Task >> 32));
                changes.Add(((TcpState)(e.Detail >> 32), (TcpState)(uint)e.Detail));
            }
        });
        Assert.Contains((TcpState.SynSent, TcpState.Established), changes);
        Assert.Equal(0ul, seen.Maps.ReadCounts().Lost);
    }

    [KernelFact]
    public void A_SYN_that_finds_the_backlog_full_is_dropped_and_sent_again()
    {
        using var again = new Seen(maps => new RetransmitProgram(maps));
        using var network = new TestNamespace();
        var sockets = new List<Socket>();
        try
        {
            var to = network.Run(() =>
            {
                var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                sockets.Add(listener);
                listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
                listener.Listen(0);
                for (var i = 0; i < 4; i++)
                {
                    var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
                    sockets.Add(client);
                    try
                    {
                        client.Connect(listener.LocalEndPoint!);
                    }
                    catch (SocketException e) when (e.SocketErrorCode is SocketError.WouldBlock or SocketError.InProgress)
                    {
                        // As a socket that does not block answers.
                    }
                }

                return ((IPEndPoint)listener.LocalEndPoint!).Port;
            });
            Eventually.True(() => again.Keys(k => k.DestinationPort == to).Count > 0, "the SYN was sent again");
            var key = again.Keys(k => k.DestinationPort == to)[0];
            Assert.Equal((IpAddress.Parse("127.0.0.1"), IpAddress.Parse("127.0.0.1"), (uint)IpProtocol.Tcp), (key.Source, key.Destination, key.Protocol));
            Assert.NotEqual(0, key.SourcePort);
        }
        finally
        {
            sockets.ForEach(s => s.Dispose());
        }
    }

    private static int FreePort(string address)
    {
        using var socket = new Socket(IPAddress.Parse(address).AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Parse(address), 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    /// <summary>A program that is attached, and its maps.</summary>
    private sealed class Seen : IDisposable
    {
        private readonly LoadedProgram _program;
        private readonly RawTracepointLink _link;

        public Seen(Func<KernelEventMaps, RawTracepointProgram> make)
        {
            Maps = new KernelEventMaps("test");
            _program = ProgramLoader.Load(ProgramCompiler.Compile(make(Maps), KernelTarget.Running));
            _link = RawTracepointLink.Attach(_program);
        }

        public KernelEventMaps Maps { get; }

        public List<KernelEventKey> Keys(Func<KernelEventKey, bool> wanted) => [.. Maps.Totals.Keys.Where(wanted)];

        public void Dispose()
        {
            _link.Dispose();
            _program.Dispose();
            foreach (var map in Maps.All)
            {
                map.Dispose();
            }
        }
    }
}
