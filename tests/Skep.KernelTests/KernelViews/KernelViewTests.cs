using System.Net;
using System.Net.Sockets;
using System.Text;
using Skep.Bpf.Compiler;
using Skep.Bpf.KernelViews;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Engine;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.KernelViews;

/// <summary>Views of the running kernel's structs say what is true of sockets and tasks of this process; the twin says the same over plain memory.</summary>
public unsafe class KernelViewTests
{
    [KernelFact]
    public void A_tcp_socket_is_read_through_all_its_layers()
    {
        var inKernel = new ConnectProbe(ThisThread.PidTgid);
        var (server, client) = ObserveConnection(inKernel);

        var seen = inKernel.Seen.Value;
        Assert.Equal(1u, seen.Count);
        Assert.Equal((server.Port, client.Port), (IPAddress.NetworkToHostOrder((short)seen.RemotePort) & 0xffff, seen.LocalPort));
        Assert.Equal(0x0100007fu, seen.RemoteAddress);
        Assert.Equal(2u, seen.Family);
        Assert.Equal(6u, seen.Protocol);
        Assert.InRange(seen.Cwnd, 1u, 1000u);
        Assert.Equal(0u, seen.CongestionState);
        Assert.NotEqual(0u, seen.MssCache);
        Assert.Equal(0u, seen.Words);

        // The same program over a socket laid out by the views. What it did not see it does not know.
        var sock = default(TcpSock);
        ref var common = ref sock.Connection.Inet.Sock.Common;
        (common.RemotePort, common.LocalPort, common.RemoteAddress, common.Family) = (seen.RemotePort, seen.LocalPort, seen.RemoteAddress, (ushort)seen.Family);
        sock.Connection.Inet.Sock.Protocol = (ushort)seen.Protocol;
        (sock.SndCwnd, sock.MssCache, sock.Connection.CongestionState) = (seen.Cwnd, seen.MssCache, (byte)seen.CongestionState);
        var inProcess = new ConnectProbe(ThisThread.PidTgid);
        using var twin = new TwinEngine();
        twin.Environment.SetTask((uint)Environment.ProcessId, (uint)ThisThread.PidTgid, "test"u8);
        twin.Bind(inProcess);
        twin.Run(inProcess, [(ulong)&sock, 2, 1]);
        Assert.Equal(seen, inProcess.Seen.Value);
        inKernel.Seen.Dispose();
    }

    [KernelFact]
    public void A_task_reads_alike_directly_and_by_helper()
    {
        var probe = new TaskProbe(ThisThread.PidTgid);
        ObserveConnection(probe);

        var (direct, byHelper) = (probe.Direct.Value, probe.ByHelper.Value);
        Assert.Equal(direct, byHelper);
        Assert.Equal((uint)Environment.ProcessId, direct.ProcessId);
        var status = File.ReadAllLines("/proc/self/status");
        Assert.Equal(status.Single(l => l.StartsWith("PPid:", StringComparison.Ordinal))["PPid:".Length..].Trim(), direct.ParentId.ToString());
        Assert.Equal(direct.ProcessId, direct.LeaderId);

        // The first eight bytes of the thread's name, as they lie in memory.
        var name = Encoding.UTF8.GetString(BitConverter.GetBytes(direct.Name)).TrimEnd('\0');
        Assert.Contains(Directory.EnumerateDirectories("/proc/self/task").Select(t => File.ReadAllText(t + "/comm").Trim()), c => c.StartsWith(name, StringComparison.Ordinal));

        var (parent, task) = (default(TaskStruct), default(TaskStruct));
        parent.ProcessId = (int)direct.ParentId;
        task.ProcessId = (int)direct.ProcessId;
        task.Parent = &parent;
        task.GroupLeader = &task;
        BitConverter.TryWriteBytes(task.Name, direct.Name);
        var inProcess = new TaskProbe(ThisThread.PidTgid);
        using var twin = new TwinEngine();
        twin.Environment.SetTask((uint)Environment.ProcessId, (uint)ThisThread.PidTgid, "test"u8);
        twin.Environment.TaskAddress = (nint)(&task);
        twin.Run(inProcess, [0, 2, 1]);
        Assert.Equal(direct, inProcess.Direct.Value);
        Assert.Equal(direct, inProcess.ByHelper.Value);
        probe.Direct.Dispose();
        probe.ByHelper.Dispose();
    }

    [KernelFact]
    public void Bit_fields_and_pointers_of_a_packet_are_read()
    {
        var probe = new PacketProbe();
        using var program = Load(probe);
        using (RawTracepointLink.Attach(program))
        {
            using var socket = new UdpClient("127.0.0.1", 9);
            socket.Send(new byte[PacketProbe.Payload]);
            Eventually.True(() => probe.Seen.Value.Count > 0, "the datagram was seen");
        }

        // A packet to this host has type 0; its length is that of the payload with UDP and IPv4 headers, its interface the loopback one.
        var seen = probe.Seen.Value;
        Assert.Equal((0u, 1u, 772u), (seen.Type, seen.Interface, seen.HardwareType));
        Assert.Equal((byte)0x45, (byte)seen.FirstByte);
        probe.Seen.Dispose();
    }

    [KernelFact]
    public void Values_and_sizes_are_those_of_this_kernel()
    {
        var probe = new FactsProbe(ThisThread.PidTgid);
        ObserveConnection(probe);

        var btf = Bpf.Btf.BtfFile.Kernel!;
        Assert.Equal((ulong)btf.SizeOf(btf.Find("tcp_sock", Bpf.Btf.BtfKind.Struct)!.Value), probe.Size.Value);
        Assert.Equal((ulong)btf.Enumerators("tcp_ca_state").Single(e => e.Name == "TCP_CA_Loss").Value, probe.Loss.Value);
        Assert.Equal(0ul, probe.Missing.Value);
        probe.Size.Dispose();
        probe.Loss.Dispose();
        probe.Missing.Dispose();
    }

    private static LoadedProgram Load(BpfProgram program) => ProgramLoader.Load(ProgramCompiler.Compile(program, KernelTarget.Running));

    private static (IPEndPoint Server, IPEndPoint Client) ObserveConnection(RawTracepointProgram probe)
    {
        using var program = Load(probe);
        using var link = RawTracepointLink.Attach(program);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        client.Connect(listener.LocalEndpoint);
        return ((IPEndPoint)listener.LocalEndpoint, (IPEndPoint)client.LocalEndPoint!);
    }

    private record struct SeenSocket(
        uint Count, uint Family, uint RemoteAddress, ushort RemotePort, ushort LocalPort, uint Protocol, uint Cwnd, uint MssCache, uint CongestionState, uint Words);

    /// <summary>Looks at this process's sockets when they begin to connect: arguments are the socket, the old and the new state.</summary>
    private sealed class ConnectProbe(ulong thread) : RawTracepointProgram
    {
        private readonly ulong _thread = thread;

        public readonly Global<SeenSocket> Seen = new("seen");

        public override string Tracepoint => "inet_sock_set_state";

        public override void Run(ref RawTracepointContext context)
        {
            // From SYN_SENT to ESTABLISHED: on the loopback interface that is within connect().
            var tcp = context.Pointer<TcpSock>(0);
            if (context.Value(1) != 2 || context.Value(2) != 1 || Helper.GetCurrentPidTgid() != _thread)
            {
                return;
            }

            var sock = (Sock*)tcp;
            var seen = default(SeenSocket);
            seen.Count = Seen.Value.Count + 1;
            seen.Family = sock->Common.Family;
            seen.RemoteAddress = sock->Common.RemoteAddress;
            seen.RemotePort = sock->Common.RemotePort;
            seen.LocalPort = tcp->Connection.Inet.Sock.Common.LocalPort;
            seen.Protocol = sock->Protocol;
            seen.Cwnd = ((TcpSock*)sock)->SndCwnd;
            seen.MssCache = tcp->MssCache;
            seen.CongestionState = tcp->Connection.CongestionState;
            seen.Words = (uint)tcp->Connection.CongestionMemory[12];
            Seen.Value = seen;
        }
    }

    private record struct SeenTask(uint ProcessId, uint ParentId, uint LeaderId, ulong Name, bool Indexed);

    private sealed class TaskProbe(ulong thread) : RawTracepointProgram
    {
        private readonly ulong _thread = thread;

        public readonly Global<SeenTask> Direct = new("direct"), ByHelper = new("byHelper");

        public override string Tracepoint => "inet_sock_set_state";

        public override void Run(ref RawTracepointContext context)
        {
            if (context.Value(1) == 2 && Helper.GetCurrentPidTgid() == _thread)
            {
                Direct.Value = Look(Helper.GetCurrentTaskBtf());
                ByHelper.Value = Look((TaskStruct*)Helper.GetCurrentTask());
            }
        }

        private static SeenTask Look(TaskStruct* task)
        {
            // Whole by one call, and a byte at an index that the verifier does not know.
            var name = task->Name;
            var last = (byte*)&task->Name + (Helper.GetPrandomU32() & 7);
            return new SeenTask((uint)task->ProcessId, (uint)task->Parent->ProcessId, (uint)task->GroupLeader->ProcessId, *(ulong*)&name, *last >= 0);
        }
    }

    private record struct SeenPacket(uint Count, uint Type, uint Interface, uint HardwareType, uint FirstByte);

    /// <summary>Looks at datagrams of one length that reach no socket.</summary>
    private sealed class PacketProbe : RawTracepointProgram
    {
        public const int Payload = 1234;

        public readonly Global<SeenPacket> Seen = new("seen");

        public override string Tracepoint => "kfree_skb";

        public override void Run(ref RawTracepointContext context)
        {
            var packet = context.Pointer<SkBuff>(0);
            if (packet->Protocol != 8 || packet->Length is not (Payload + 8 or Payload + 28))
            {
                return;
            }

            var seen = default(SeenPacket);
            seen.Count = Seen.Value.Count + 1;
            seen.Type = packet->PacketType;
            seen.Interface = (uint)packet->Device->Index;
            seen.HardwareType = packet->Device->Type;
            seen.FirstByte = packet->Head[packet->NetworkHeader];
            Seen.Value = seen;
        }
    }

    [KernelStruct("tcp_sock")]
    private struct ImaginarySock
    {
#pragma warning disable CS0649 // the fields are the kernel's
        public uint SndCwnd;
        public uint NoKernelHasThis;
#pragma warning restore CS0649
    }

    private sealed class FactsProbe(ulong thread) : RawTracepointProgram
    {
        private readonly ulong _thread = thread;

        public readonly Global<ulong> Size = new("size"), Loss = new("loss"), Missing = new("missing");

        public override string Tracepoint => "inet_sock_set_state";

        public override void Run(ref RawTracepointContext context)
        {
            if (Helper.GetCurrentPidTgid() != _thread)
            {
                return;
            }

            var imaginary = context.Pointer<ImaginarySock>(0);
            Size.Value = KernelType.SizeOf<TcpSock>();
            Loss.Value = (ulong)KernelType.ValueOf(TcpCongestionState.Loss);
            Missing.Value = KernelType.Exists(&imaginary->NoKernelHasThis) ? imaginary->NoKernelHasThis + imaginary->SndCwnd : 0;
        }
    }
}
