using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Skep.Bpf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Kernel;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.KernelTests.Compiler;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.Maps;

public class RedirectMapTests
{
    [KernelFact]
    public void Verdicts_are_those_of_the_kernel_whether_a_target_is_there_or_not() =>
        Differential.Check(() => new ByFirstByte(), RandomPackets.Make(60, 64), prepare: static p =>
        {
            p.Devices.Set(1, 1);
            p.Hashed.Set(200, 1);
            p.Cpus.Set(0, 64);
        });

    [ProvesMap(MapKind.DevMap, MapKind.DevMapHash)]
    [KernelFact]
    public void A_packet_leaves_by_the_device_of_the_map()
    {
        using var sender = new TestNamespace();
        using var middle = new TestNamespace();
        using var receiver = new TestNamespace();
        var (here, _) = middle.Connect(sender, "m1", "s1", IPAddress.Parse("10.78.1.1"), IPAddress.Parse("10.78.1.2"));
        var (there, _) = middle.Connect(receiver, "m2", "r1", IPAddress.Parse("10.78.2.1"), IPAddress.Parse("10.78.2.2"));
        var program = new ToDevice();
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program));
        using var devices = program.Devices;
        middle.Run(() => devices.Set(7, (uint)there));
        using var link = middle.Run(() => XdpLink.Attach(loaded, here, XdpMode.Generic));

        // A broadcast needs no neighbour. What the receiver's interface counts was redirected: the middle forwards nothing by itself.
        var before = receiver.Run(() => Received("r1"));
        sender.Run(() =>
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { EnableBroadcast = true };
            for (var i = 0; i < 20; i++)
            {
                socket.SendTo(new byte[8], new IPEndPoint(IPAddress.Parse("10.78.1.255"), 9));
            }
        });

        Eventually.True(() => receiver.Run(() => Received("r1")) >= before + 20, "the receiver's interface saw the packets");
        Assert.True(devices.TryGet(7, out var target) && target == new DeviceTarget((uint)there, 0));
        devices.Remove(7);
        Assert.False(devices.TryGet(7, out _));
        devices.Remove(7);
    }

    [ProvesMap(MapKind.CpuMap)]
    [KernelFact]
    public void A_packet_goes_on_by_the_cpu_of_the_map()
    {
        using var path = new UdpPath();
        var program = new ToCpu();
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program));
        using var cpus = program.Cpus;
        using var sent = program.Sent;
        cpus.Set(0, 256);
        using var link = path.Right.Run(() => XdpLink.Attach(loaded, path.RightInterface, XdpMode.Generic));

        for (byte i = 1; i <= 10; i++)
        {
            Assert.Equal(i, path.SendAndReceive(i));
        }

        Assert.True(sent.Value >= 10);
        Assert.True(cpus.TryGet(0, out var target) && target == new CpuTarget(256, 0));
        Assert.Equal(Errno.TooBig, Assert.Throws<BpfException>(() => cpus.Set(64, 256)).ErrorNumber);
    }

    [ProvesMap(MapKind.XskMap)]
    [KernelFact]
    public void Only_sockets_of_the_right_family_go_into_a_map_of_af_xdp_sockets()
    {
        const int AfXdp = 44;
        var program = new ToSocket();
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program));
        using var sockets = program.Sockets;
        using var socket = new SafeFileHandle(LibC.socket(AfXdp, LibC.SOCK_RAW | LibC.SOCK_CLOEXEC, 0), ownsHandle: true);
        using var other = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        Assert.False(socket.IsInvalid);

        Assert.Equal(XdpAction.Pass, (XdpAction)loaded.TestRun(new byte[64]).ReturnValue);
        sockets.Set(0, socket);
        Assert.Equal(XdpAction.Redirect, (XdpAction)loaded.TestRun(new byte[64]).ReturnValue);
        Assert.Equal(Errno.NotSupported, Assert.Throws<BpfException>(() => sockets.Set(1, other.SafeHandle)).ErrorNumber);
        sockets.Remove(0);
        Assert.Equal(XdpAction.Pass, (XdpAction)loaded.TestRun(new byte[64]).ReturnValue);
    }

    private static ulong Received(string name) => File.ReadLines("/proc/thread-self/net/dev")
        .Select(line => line.Split([':', ' '], StringSplitOptions.RemoveEmptyEntries))
        .Where(fields => fields[0] == name)
        .Select(fields => ulong.Parse(fields[2], CultureInfo.InvariantCulture))
        .Single();

    private sealed class ByFirstByte : XdpProgram
    {
        public DevMap Devices { get; } = new(4);

        public DevMapHash Hashed { get; } = new(4);

        public CpuMap Cpus { get; } = new(4);

        public override unsafe XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 2 > context.DataEnd)
            {
                return XdpAction.Aborted;
            }

            return (data[0] & 3) switch
            {
                0 => Devices.Redirect((uint)data[1] & 3, XdpAction.Pass),
                1 => Hashed.Redirect((data[1] & 1) != 0 ? 200u : 201u, XdpAction.Drop),
                2 => Cpus.Redirect((uint)data[1] & 1),
                _ => Devices.Broadcast(exceptIngress: true),
            };
        }
    }

    private sealed class ToDevice : XdpProgram
    {
        public DevMap Devices { get; } = new(16);

        public override XdpAction Run(ref XdpContext context) => Devices.Redirect(7);
    }

    private sealed class ToCpu : XdpProgram
    {
        public CpuMap Cpus { get; } = new(2);

        public Global<ulong> Sent { get; } = new();

        public override XdpAction Run(ref XdpContext context)
        {
            Interlocked.Increment(ref Sent.Value);
            return Cpus.Redirect(0);
        }
    }

    private sealed class ToSocket : XdpProgram
    {
        public XskMap Sockets { get; } = new(2);

        public override XdpAction Run(ref XdpContext context) => Sockets.Redirect(0, XdpAction.Pass);
    }
}
