using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using Skep.Bpf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Kernel;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.Maps;

[Collection(ThreadCgroup.Collection)]
public class LocalStorageTests
{
    [ProvesMap(MapKind.SkStorage)]
    [KernelFact]
    public void A_program_counts_what_each_socket_sends()
    {
        using var group = new TestCgroup();
        var program = new PerSocket();
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program));
        using var counters = program.Counters;
        using var link = CgroupLink.Attach(loaded, group.Directory, AttachType.CgroupInetEgress);
        using var first = group.Inside(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        using var second = group.Inside(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        using var sink = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        sink.Bind(new IPEndPoint(IPAddress.Loopback, 0));

        Assert.False(counters.TryGet(first.SafeHandle, out _));
        counters.Set(second.SafeHandle, new Traffic { Packets = 100, Bytes = 1000 });
        for (var i = 0; i < 5; i++)
        {
            first.SendTo(new byte[10], sink.LocalEndPoint!);
            second.SendTo(new byte[10], sink.LocalEndPoint!);
        }

        Assert.True(counters.TryGet(first.SafeHandle, out var ofFirst));
        Assert.True(counters.TryGet(second.SafeHandle, out var ofSecond));

        // IP and UDP headers count: 28 bytes. A new value begins with one packet more than it saw.
        Assert.Equal((6u, 5 * 38ul), (ofFirst.Packets, ofFirst.Bytes));
        Assert.Equal((105u, 1000 + (5 * 38ul)), (ofSecond.Packets, ofSecond.Bytes));
        Assert.True(counters.Remove(first.SafeHandle));
        Assert.False(counters.Remove(first.SafeHandle));
    }

    [ProvesMap(MapKind.CgroupStorageDeprecated)]
    [KernelFact]
    public void Attachments_to_a_cgroup_have_values_of_their_own()
    {
        using var group = new TestCgroup();
        var program = new PerAttachment();
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program));
        using var counter = program.Counter;
        using var link = CgroupLink.Attach(loaded, group.Directory, AttachType.CgroupInetEgress);
        using var socket = group.Inside(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        for (var i = 0; i < 7; i++)
        {
            socket.SendTo(new byte[1], new IPEndPoint(IPAddress.Loopback, 9));
        }

        var key = Assert.Single(counter.Keys);
        Assert.Equal(AttachType.CgroupInetEgress, key.AttachType);
        Assert.True(counter.TryGet(key, out var count));
        Assert.Equal(7ul, count);
    }

    [ProvesMap(MapKind.PerCpuCgroupStorageDeprecated)]
    [KernelFact]
    public void Attachments_count_by_cpu_too()
    {
        using var group = new TestCgroup();
        var program = new PerCpuAttachment();
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program));
        using var counter = program.Counter;
        using var link = CgroupLink.Attach(loaded, group.Directory, AttachType.CgroupInetEgress);
        using var socket = group.Inside(() => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        for (var i = 0; i < 7; i++)
        {
            socket.SendTo(new byte[1], new IPEndPoint(IPAddress.Loopback, 9));
        }

        Assert.True(counter.TryGet(Assert.Single(counter.Keys), out ulong[] counts));
        Assert.Equal(7ul, counts.Aggregate((a, b) => a + b));
    }

    [ProvesMap(MapKind.TaskStorage, MapKind.CgroupStorage)]
    [KernelFact]
    public void Tasks_and_cgroups_keep_what_a_tracepoint_says_of_them()
    {
        using var group = new TestCgroup();
        var program = new Movements();
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program));
        using var ofTasks = program.OfTasks;
        using var ofCgroups = program.OfCgroups;
        using var self = new SafeFileHandle((nint)LibC.syscall(PidfdOpen, Environment.ProcessId, 0, 0), ownsHandle: true);
        using var directory = new SafeFileHandle(LibC.open(group.Directory, LibC.O_DIRECTORY | LibC.O_CLOEXEC), ownsHandle: true);
        using var link = RawTracepointLink.Attach(loaded);

        Assert.False(ofTasks.TryGet(self, out _));
        group.Inside(() => 0);
        group.Inside(() => 0);

        Assert.True(ofTasks.TryGet(self, out var moves));
        Assert.True(ofCgroups.TryGet(directory, out var arrivals));

        // In and out twice, whatever other tests do; into this group twice.
        Assert.True(moves >= 4);
        Assert.Equal(2u, arrivals);
        Assert.Equal(Errno.BadDescriptor, Assert.Throws<BpfException>(() => ofTasks.TryGet(directory, out _)).ErrorNumber);
    }

    [ProvesMap(MapKind.InodeStorage)]
    [KernelFact]
    public void Files_keep_values_while_they_are_there()
    {
        using var map = new InodeStorage<ulong>("files");
        map.Bind(KernelMapStorage.Create(map));
        using var file = File.OpenHandle("/proc/self/exe");

        Assert.False(map.TryGet(file, out _));
        map.Set(file, 17);
        Assert.True(map.TryGet(file, out var value) && value == 17);
        Assert.True(map.Remove(file));
    }

    [KernelFact]
    public unsafe void The_twin_keeps_values_by_address_and_names_none_by_descriptor()
    {
        using var twin = new TwinEngine();
        using var map = new SkStorage<Traffic>("sockets");
        twin.Bind(map);
        var owner = (void*)0x1234;

        Assert.True(Unsafe.IsNullRef(ref map.Find(owner)));
        map.FindOrCreate(owner, new Traffic { Packets = 5 }).Packets++;
        Assert.Equal(6u, map.FindOrCreate(owner).Packets);
        Assert.Equal(0, map.Delete(owner));
        Assert.Equal(-Errno.NoEntry, map.Delete(owner));
        using var file = File.OpenHandle("/dev/null");
        Assert.Equal(Errno.BadDescriptor, Assert.Throws<BpfException>(() => map.TryGet(file, out _)).ErrorNumber);
    }

    private const nint PidfdOpen = 434;

    private struct Traffic
    {
        public uint Packets;
        public ulong Bytes;
    }

    private sealed class PerSocket : CgroupSkbProgram
    {
        public SkStorage<Traffic> Counters { get; } = new();

        public override unsafe CgroupVerdict Run(ref SkbContext context)
        {
            var socket = context.Socket;
            if (socket != null)
            {
                ref var traffic = ref Counters.FindOrCreate(socket, new Traffic { Packets = 1 });
                if (!Unsafe.IsNullRef(ref traffic))
                {
                    traffic.Packets++;
                    traffic.Bytes += context.Length;
                }
            }

            return CgroupVerdict.Allow;
        }
    }

    private sealed class PerAttachment : CgroupSkbProgram
    {
        public AttachedStorage<ulong> Counter { get; } = new();

        public override CgroupVerdict Run(ref SkbContext context)
        {
            Interlocked.Increment(ref Counter.Value);
            return CgroupVerdict.Allow;
        }
    }

    private sealed class PerCpuAttachment : CgroupSkbProgram
    {
        public PerCpuAttachedStorage<ulong> Counter { get; } = new();

        public override CgroupVerdict Run(ref SkbContext context)
        {
            Counter.Value++;
            return CgroupVerdict.Allow;
        }
    }

    private sealed class Movements : RawTracepointProgram
    {
        public TaskStorage<uint> OfTasks { get; } = new();

        public CgroupStorage<uint> OfCgroups { get; } = new();

        public override string Tracepoint => "cgroup_attach_task";

        public override unsafe void Run(ref RawTracepointContext context)
        {
            // Arguments: destination cgroup, its path, task, whether all threads.
            ref var moves = ref OfTasks.FindOrCreate(context.Pointer<byte>(2));
            if (!Unsafe.IsNullRef(ref moves))
            {
                moves++;
            }

            ref var arrivals = ref OfCgroups.FindOrCreate(context.Pointer<byte>(0));
            if (!Unsafe.IsNullRef(ref arrivals))
            {
                arrivals++;
            }
        }
    }
}
