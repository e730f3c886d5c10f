using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Skep.Bpf.Asm;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.KernelTests.Surroundings;
using Skep.Samples.Programs;

namespace Skep.KernelTests.Programs.Kinds;

public class RouteKindTests
{
    [Proves("lwt_out", "lwt_xmit")]
    [KernelTheory]
    [InlineData("lwt_out")]
    [InlineData("lwt_xmit")]
    public void A_route_counts_its_packets_and_drops_UDP(string section)
    {
        using var path = new UdpPath();
        var program = new DropOnRoute(section);
        using var receiver = path.Right.Run(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 10_000 });
        path.Right.Run(() => receiver.Bind(new IPEndPoint(IPAddress.Parse("10.77.0.2"), 0)));
        path.Left.Run(() =>
        {
            // A more specific route than that of the interface's address.
            using (var link = program.Attach(IPNetwork.Parse("10.77.0.2/32"), path.LeftInterface))
            {
                Assert.True(link.UsesNetlink);
                using var sender = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
                for (var i = 0; i < 3; i++)
                {
                    TrySend(sender, [1], receiver.LocalEndPoint!);
                }

                Assert.Equal(3ul, program.Packets.Value);
            }

            using var later = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            later.SendTo([2], receiver.LocalEndPoint!);
        });
        var buffer = new byte[1];
        receiver.Receive(buffer);
        Assert.Equal(2, buffer[0]);
        Assert.Equal(3ul, program.Packets.Value);
    }

    [Proves("lwt_in")]
    [KernelFact]
    public void A_route_sees_what_comes_in_by_it()
    {
        using var path = new UdpPath();
        var program = new DropOnRoute("lwt_in");
        using var incoming = path.Right.Run(() =>
        {
            // The right side says that it has the network behind it, and forwards into the route with the program.
            File.WriteAllText("/proc/sys/net/ipv4/ip_forward", "1");
            File.WriteAllText("/proc/sys/net/ipv4/conf/right/proxy_arp", "1");
            return program.Attach(IPNetwork.Parse("10.88.0.0/24"), RtNetlink.IndexOf("lo"));
        });
        path.Left.Run(() =>
        {
            using var outgoing = new DropOnRoute("lwt_out").Attach(IPNetwork.Parse("10.88.0.0/24"), path.LeftInterface);
            using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
            Assert.Throws<SocketException>(() => client.Connect(IPAddress.Parse("10.88.0.1"), 80));
            Eventually.True(() => program.Packets.Value > 0, "the SYN came in by the route");
        });
    }

    [KernelFact]
    public void A_segment_route_takes_its_program_and_no_other()
    {
        using var inside = new TestNamespace();
        inside.Run(() =>
        {
            var segment = IPNetwork.Parse("fc00:77::1/128");
            var lo = RtNetlink.IndexOf("lo");
            using var link = new DropOnRoute("lwt_seg6local").Attach(segment, lo);
            Assert.NotEqual(0u, link.ProgramId);
            Assert.Equal(Skep.Bpf.Errno.Exists, Assert.Throws<Skep.Bpf.BpfException>(() => new DropOnRoute("lwt_seg6local").Attach(segment, lo)).ErrorNumber);
            link.Detach();
            new DropOnRoute("lwt_seg6local").Attach(segment, lo).Dispose();
        });
    }

    [Proves("lwt_seg6local")]
    [KernelFact]
    public void A_segment_is_seen_by_the_program_of_its_route()
    {
        using var path = new UdpPath();
        var program = new DropOnRoute("lwt_seg6local");
        var (segment, next) = (IPAddress.Parse("fc00:77::1"), IPAddress.Parse("fc00:77::2"));
        using var route = path.Right.Run(() => program.Attach(new IPNetwork(segment, 128), path.RightInterface));
        var hardware = path.Right.Run(() => NetworkInterface.GetAllNetworkInterfaces().Single(i => i.Name == "right").GetPhysicalAddress());
        path.Left.Run(() =>
        {
            RtNetlink.AddAddress(path.LeftInterface, IPAddress.Parse("fc00:77::9"), 64);
            RtNetlink.AddNeighbour(path.LeftInterface, segment, hardware);
            using var sender = new Socket(AddressFamily.InterNetworkV6, SocketType.Raw, ProtocolType.IPv6RoutingHeader);

            // RFC 8754: next header (none), length in 8 bytes beyond the first 8, routing type 4, segments left, last entry, flags, tag; then the
            // segments, the last first.
            sender.SendTo([59, 4, 4, 1, 1, 0, 0, 0, .. next.GetAddressBytes(), .. segment.GetAddressBytes()], new IPEndPoint(segment, 0));
            Eventually.True(() => program.Packets.Value == 1, "the segment was seen");
        });
    }

    [Proves("flow dissector")]
    [KernelFact]
    public void A_flow_dissector_finds_ports_and_there_is_one_for_a_namespace()
    {
        using var inside = new TestNamespace();
        inside.Run(() =>
        {
            using var link = new DissectPorts().Attach();
            var refusal = Assert.Throws<Skep.Bpf.BpfException>(() => new DissectPorts().Attach());
            Assert.Equal(Skep.Bpf.Errno.TooBig, refusal.ErrorNumber);
        });

        using var program = ProgramLoader.Load(ProgramCompiler.Compile(new DissectPorts()));
        var packet = new byte[64];
        packet[12] = 8;
        packet[14] = 0x45;
        packet[23] = 17;
        new byte[] { 10, 0, 0, 1, 10, 0, 0, 2, 0x12, 0x34, 0x00, 0x35 }.CopyTo(packet, 26);
        var result = program.TestRun(packet);

        Assert.Equal((int)FlowDissectorVerdict.Ok, result.ReturnValue);
        var keys = System.Runtime.InteropServices.MemoryMarshal.Read<FlowKeys>(result.Output);
        Assert.Equal((17, 0x3412, 0x3500), (keys.Protocol, keys.SourcePort, keys.DestinationPort));
        packet[23] = 6;
        Assert.Equal((int)FlowDissectorVerdict.Continue, program.TestRun(packet).ReturnValue);
    }

    [Proves("XDP", "TC")]
    [KernelFact]
    public void XDP_and_TC_samples_see_traffic()
    {
        using var path = new UdpPath();
        var packets = new CountPackets();
        var marks = new MarkPackets(7);
        using var xdp = path.Right.Run(() => packets.Attach(path.RightInterface));
        using var tc = path.Left.Run(() => marks.Attach(path.LeftInterface));

        Assert.Equal(9, path.SendAndReceive(9));

        Assert.True(marks.Marked.Value >= 1, "no packet was marked");
        var values = new ulong[Environment.ProcessorCount * 8];
        Assert.True(packets.Packets.TryGet(0, values) && values.Any(v => v > 0), "no packet was counted");
    }

    /// <summary>Attaching it takes tc(8) and CONFIG_NET_ACT_BPF, which few kernels have; what it does to a packet, a run of its own shows.</summary>
    [KernelFact]
    [Proves("TC action")]
    public void A_TC_action_gives_its_verdict_about_a_packet()
    {
        const int Shot = 2, Length = 0;
        var code = new Assembler().Load(OpCodes.SizeW, Register.R2, Register.R1, Length).Move(Register.R0, 0)
            .Jump(OpCodes.Jgt, Register.R2, 100, "end").Move(Register.R0, Shot).Label("end").Exit();
        using var program = ProgramLoader.Load(code.Build("short", ProgramType.SchedAct));

        Assert.Equal(Shot, program.TestRun(new byte[60]).ReturnValue);
        Assert.Equal(0, program.TestRun(new byte[120]).ReturnValue);
    }

    // What an output hook drops, the sender may be told as an error.
    private static void TrySend(Socket socket, byte[] data, EndPoint target)
    {
        try
        {
            socket.SendTo(data, target);
        }
        catch (SocketException)
        {
        }
    }
}
