using System.Net;
using System.Net.Sockets;
using Skep.Bpf.Compiler;
using Skep.Bpf.KernelViews;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Engine;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.Programming;

/// <summary>Loops over the control groups below and above one.</summary>
public unsafe class CgroupTests
{
    [KernelFact(Needs = ["control group iterator"])]
    public void Groups_below_and_above_are_those_of_the_file_system()
    {
        using var group = new TestCgroup();
        var child = Directory.CreateDirectory(Path.Combine(group.Directory, "child"));
        var grandchild = Directory.CreateDirectory(Path.Combine(child.FullName, "grandchild"));
        var program = new Walks(ThisThread.PidTgid);
        using (var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program, KernelTarget.Running)))
        using (RawTracepointLink.Attach(loaded))
        {
            group.Inside(static () =>
            {
                using var listener = new TcpListener(IPAddress.Loopback, 0);
                listener.Start();
                using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                client.Connect(listener.LocalEndpoint);
                return true;
            });
        }

        grandchild.Delete();
        child.Delete();
        var found = program.Found.Value;
        Assert.Equal((3, 1ul), (found.Below, found.Root));
        Assert.Equal(found.Level + 1, found.Above);
        Assert.Equal(found.Level + 2, found.Deepest);
        program.Found.Dispose();
    }

    [Fact]
    public void Groups_under_the_twin_are_those_it_was_given()
    {
        var directories = stackalloc KernfsNode[4];
        var groups = stackalloc Cgroup[4];
        int[] parents = [-1, 0, 1, 0];
        for (var i = 0; i < 4; i++)
        {
            directories[i].Id = (ulong)i + 1;
            groups[i] = new Cgroup { Directory = directories + i, Level = parents[i] < 0 ? 0 : groups[parents[i]].Level + 1 };
            groups[i].Self = new CgroupState { Cgroup = groups + i, Parent = parents[i] < 0 ? null : &groups[parents[i]].Self };
        }

        var program = new Walks(5);
        using var twin = new TwinEngine();
        twin.Environment.SetTask(0, 5, "test"u8);
        twin.Environment.AllCgroups = [(nint)groups, (nint)(groups + 1), (nint)(groups + 2), (nint)(groups + 3)];
        twin.Environment.TaskCgroupId = 2;
        twin.Run(program, [0, 2, 1]);
        Assert.Equal(new Walks.Totals { Below = 2, Above = 2, Level = 1, Deepest = 2, Root = 1 }, program.Found.Value);
    }

    private sealed class Walks(ulong thread) : RawTracepointProgram
    {
        private readonly ulong _thread = thread;

        public Global<Totals> Found { get; } = new();

        public override string Tracepoint => "inet_sock_set_state";

        public override void Run(ref RawTracepointContext context)
        {
            if (context.Value(1) != 2 || Helper.GetCurrentPidTgid() != _thread)
            {
                return;
            }

            var group = Cgroups.Find(Helper.GetCurrentCgroupId());
            if (group == null)
            {
                return;
            }

            Found.Value.Level = group->Level;
            foreach (var below in Cgroups.Below(group))
            {
                Found.Value.Below++;
                Found.Value.Deepest = below->Level;
            }

            foreach (var above in Cgroups.Above(group))
            {
                Found.Value.Above++;
                Found.Value.Root = above->Directory->Id;
            }

            Cgroups.Release(group);
        }

        public struct Totals
        {
            public int Below, Above, Level, Deepest;
            public ulong Root;
        }
    }
}
