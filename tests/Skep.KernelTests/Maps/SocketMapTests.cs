using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Skep.Bpf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Kernel;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.Maps;

[Collection(ThreadCgroup.Collection)]
public class SocketMapTests
{
    [ProvesMap(MapKind.SockMap, MapKind.SockHash)]
    [KernelTheory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_one_connection_sends_another_receives(bool hash)
    {
        using var space = new TestNamespace();
        using var first = space.Run(() => new Connection());
        using var second = space.Run(() => new Connection());
        BpfProgram program = hash ? new ByHash() : new ByIndex();
        BpfMap map = hash ? ((ByHash)program).Sockets : ((ByIndex)program).Sockets;
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program));
        using (map)
        using (Attach(loaded, map))
        {
            if (map is SockHash<ulong> sockets)
            {
                sockets.Set(10, first.Client.SafeHandle);
                sockets.Set(11, second.Server.SafeHandle);
                Assert.True(sockets.TryGetCookie(11, out var cookie) && cookie != 0);
            }
            else
            {
                var indexed = (SockMap)map;
                indexed.Set(0, first.Client.SafeHandle);
                indexed.Set(1, second.Server.SafeHandle);
                Assert.False(indexed.TryGetCookie(2, out _));
                Assert.False(indexed.Remove(2));
            }

            first.Client.Send("round the corner"u8);

            var buffer = new byte[64];
            Assert.Equal("round the corner", Encoding.ASCII.GetString(buffer, 0, second.Server.Receive(buffer)));
            Assert.Equal(0, first.Server.Available);
        }
    }

    [KernelFact]
    public void A_socket_that_is_no_tcp_connection_is_refused()
    {
        using var map = new SockMap(4, "sockets");
        map.Bind(KernelMapStorage.Create(map));
        using var idle = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using var file = File.OpenHandle("/dev/null");

        Assert.Equal(Errno.NotSupported, Assert.Throws<BpfException>(() => map.Set(0, idle.SafeHandle)).ErrorNumber);
        Assert.Throws<BpfException>(() => map.Set(0, file));
    }

    [KernelFact]
    public void Connections_add_themselves_when_they_are_made()
    {
        using var group = new TestCgroup();
        using var space = new TestNamespace();
        var program = new Collector();
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program));
        using var sockets = program.Sockets;
        using var link = CgroupLink.Attach(loaded, group.Directory, AttachType.CgroupSockOps);
        using var connection = group.Inside(() => space.Run(() => new Connection()));
        var port = (uint)((IPEndPoint)connection.Client.LocalEndPoint!).Port;

        Assert.True(sockets.TryGetCookie(port, out var cookie));
        Assert.Equal(Cookie(connection.Client), cookie);
        connection.Client.Dispose();
        Eventually.True(() => !sockets.TryGetCookie(port, out _), "the closed socket left the map");
    }

    [ProvesMap(MapKind.ReuseportSockArray)]
    [KernelFact]
    public void A_program_chooses_which_of_the_sockets_on_a_port_takes_a_datagram()
    {
        using var space = new TestNamespace();
        var program = new ByLastByte();
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program));
        using var sockets = program.Sockets;
        space.Run(() =>
        {
            using var first = Shared(0);
            using var second = Shared(((IPEndPoint)first.LocalEndPoint!).Port);
            sockets.Set(0, first.SafeHandle);
            sockets.Set(1, second.SafeHandle);
            SetOption(first, SoAttachReuseportEbpf, (int)loaded.Handle.DangerousGetHandle());
            using var sender = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            sender.Connect(first.LocalEndPoint!);
            for (byte i = 0; i < 20; i++)
            {
                sender.Send([i]);
            }

            var buffer = new byte[1];
            for (byte i = 0; i < 20; i++)
            {
                (i % 2 == 0 ? first : second).Receive(buffer);
                Assert.Equal(i, buffer[0]);
            }
        });
    }

    private const int SolSocket = 1, SoReusePort = 15, SoCookie = 57, SoAttachReuseportEbpf = 52;

    private static KernelHandle Attach(LoadedProgram program, BpfMap map)
    {
        using var target = ((KernelMapStorage)map.Storage).Handle.Borrow();
        using var lease = program.Handle.Borrow();
        var attributes = new LinkCreateAttributes { Program = lease.Descriptor, Target = target.Descriptor, AttachType = AttachType.SkMsgVerdict };
        Assert.Equal(0, BpfSyscall.LinkCreate(ref attributes, out var link));
        return link;
    }

    private static unsafe void SetOption(Socket socket, int option, int value) =>
        Assert.Equal(0, LibC.setsockopt((int)socket.Handle, SolSocket, option, &value, sizeof(int)));

    private static Socket Shared(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 10_000 };
        SetOption(socket, SoReusePort, 1);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
        return socket;
    }

    private static ulong Cookie(Socket socket)
    {
        Span<byte> value = stackalloc byte[8];
        socket.GetRawSocketOption(SolSocket, SoCookie, value);
        return BitConverter.ToUInt64(value);
    }

    private sealed class Connection : IDisposable
    {
        public Connection()
        {
            using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listener.Listen();
            Client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            Client.Connect(listener.LocalEndPoint!);
            Server = listener.Accept();
            Server.ReceiveTimeout = 10_000;
        }

        public Socket Client { get; }

        public Socket Server { get; }

        public void Dispose()
        {
            Client.Dispose();
            Server.Dispose();
        }
    }

    private sealed class ByIndex : SkMsgProgram
    {
        public SockMap Sockets { get; } = new(4);

        public override SkVerdict Run(ref SkMsgContext context) => Sockets.Redirect(ref context, 1, SocketQueue.Ingress);
    }

    private sealed class ByHash : SkMsgProgram
    {
        public SockHash<ulong> Sockets { get; } = new(4);

        public override SkVerdict Run(ref SkMsgContext context) => Sockets.Redirect(ref context, 11ul, SocketQueue.Ingress);
    }

    private sealed class Collector : SockOpsProgram
    {
        public SockHash<uint> Sockets { get; } = new(64);

        public override CgroupVerdict Run(ref SockOpsContext context)
        {
            if (context.Operation == (uint)SockOperation.ActiveEstablished)
            {
                Sockets.Add(ref context, context.LocalPort, UpdateMode.Any);
            }

            return CgroupVerdict.Allow;
        }
    }

    private sealed class ByLastByte : SkReuseportProgram
    {
        public ReuseportSockArray Sockets { get; } = new(4);

        public override unsafe SkVerdict Run(ref SkReuseportContext context)
        {
            var data = context.Data;
            if (data + 9 > context.DataEnd)
            {
                return SkVerdict.Drop;
            }

            // The payload follows the UDP header of eight bytes.
            return Sockets.Select(ref context, (uint)data[8] & 1) == 0 ? SkVerdict.Pass : SkVerdict.Drop;
        }
    }
}
