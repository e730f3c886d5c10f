using System.Net;
using System.Net.Sockets;
using Skep.Bpf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.KernelTests.Surroundings;
using Skep.Samples.Programs;

namespace Skep.KernelTests.Programs.Kinds;

public class NetfilterKindTests
{
    private const int MarkOption = 36;

    [Proves("netfilter")]
    [KernelFact]
    public void Packets_with_a_mark_are_dropped_at_a_hook()
    {
        using var inside = new TestNamespace();
        inside.Run(() =>
        {
            using var receiver = Datagram();
            using var marked = Datagram();
            using var plain = Datagram();
            marked.SetRawSocketOption(1, MarkOption, BitConverter.GetBytes(0x77));
            var program = new DropMarkedPackets(0x77);
            using (var link = program.Attach())
            {
                Assert.Throws<SocketException>(() => marked.SendTo([1], receiver.LocalEndPoint!));
                plain.SendTo([2, 2], receiver.LocalEndPoint!);
                Assert.Equal(2, receiver.Receive(new byte[4]));
                Assert.Equal(1ul, program.Dropped.Value);
                link.Detach();
            }

            marked.SendTo([3, 3, 3], receiver.LocalEndPoint!);
            Assert.Equal(3, receiver.Receive(new byte[4]));
        });
    }

    [KernelFact]
    public void A_priority_is_taken_once_and_the_pin_leads_back()
    {
        using var inside = new TestNamespace();
        using var pins = new TestPins();
        inside.Run(() =>
        {
            using var program = ProgramLoader.Load(ProgramCompiler.Compile(new CountAll()));
            using var link = NetfilterLink.Attach(program, NetfilterFamily.Ip4, NetfilterHook.LocalIn, priority: 7, defragment: true);
            var refusal = Assert.Throws<BpfException>(() => NetfilterLink.Attach(program, NetfilterFamily.Ip4, NetfilterHook.LocalIn, priority: 7));
            Assert.Equal(Errno.Busy, refusal.ErrorNumber);
            using var other = NetfilterLink.Attach(program, NetfilterFamily.Ip6, NetfilterHook.LocalIn, priority: 7);
            link.Pin(pins.Path("hook"));
            using var opened = Assert.IsType<NetfilterLink>(Link.OpenPinned(pins.Path("hook")));
            Assert.Equal(link.Id, opened.Id);
        });
    }

    [KernelFact]
    public void An_anchor_puts_a_TC_program_between_two_others()
    {
        using var path = new UdpPath();
        var (a, b, c) = (new Multiply(3, 5), new Multiply(7, 2), new Multiply(1, 1));
        path.Right.Run(() =>
        {
            using var first = TcxLink.Attach(Load(a), path.RightInterface, TcDirection.Ingress);
            using var last = TcxLink.Attach(Load(c), path.RightInterface, TcDirection.Ingress, LinkAnchor.After(first));
            using var between = TcxLink.Attach(Load(b), path.RightInterface, TcDirection.Ingress, LinkAnchor.Before(last));
            path.SendAndReceive(1);

            // (((0 * 3 + 5) * 7 + 2) * 1 + 1) in this order only; the links go one by one, and the kernel's own packets still pass those left.
            Assert.Equal(38u, c.Seen.Value);
        });
    }

    private static LoadedProgram Load(BpfProgram program) => ProgramLoader.Load(ProgramCompiler.Compile(program));

    private static Socket Datagram()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 10_000 };
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return socket;
    }

    private sealed class CountAll : NetfilterProgram
    {
        public override NetfilterVerdict Run(ref NetfilterContext context) => NetfilterVerdict.Accept;
    }

    private sealed class Multiply(uint factor, uint addend) : TcProgram
    {
        private readonly uint _factor = factor, _addend = addend;

        public Global<uint> Seen { get; } = new("seen");

        public override TcAction Run(ref TcContext context)
        {
            context.Mark = (context.Mark * _factor) + _addend;
            Seen.Value = context.Mark;
            return TcAction.Unspec;
        }
    }
}
