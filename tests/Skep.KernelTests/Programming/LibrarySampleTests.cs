using Skep.Bpf.Buffers;
using Skep.Bpf.Compiler;
using Skep.Bpf.KernelViews;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Engine;
using Skep.KernelTests.Surroundings;
using Skep.Samples.Library;

namespace Skep.KernelTests.Programming;

/// <summary>The code of docs/kernel-library.md does what the page says, in the kernel and under the twin.</summary>
public sealed class LibrarySampleTests
{
    [KernelTheory(Needs = ["timers"])]
    [InlineData(true)]
    [InlineData(false)]
    public void Entries_expire_a_second_after_their_last_packet(bool kernel)
    {
        var program = new ExpireEntries();
        using var twin = new TwinEngine();
        using var run = new Runner(program, kernel, twin);
        run.Packet(60);
        run.Packet(60);
        Assert.True(program.Interfaces.TryGet(1, out var seen) && seen.Packets == 2);
        if (kernel)
        {
            Eventually.True(() => !program.Interfaces.TryGet(1, out _), "the entry expired");
            return;
        }

        twin.Environment.Advance(TimeSpan.FromMilliseconds(900));
        run.Packet(60);
        twin.Environment.Advance(TimeSpan.FromMilliseconds(900));
        Assert.True(program.Interfaces.TryGet(1, out _));
        twin.Environment.Advance(TimeSpan.FromMilliseconds(100));
        Assert.False(program.Interfaces.TryGet(1, out _));
    }

    [KernelFact(Needs = ["task iterator"])]
    public void Processes_are_counted_as_proc_lists_them()
    {
        var program = new MeasureProcesses();
        using (var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program, KernelTarget.Running)))
        {
            // Others come and go meanwhile.
            var before = Directory.GetDirectories("/proc", "*").Count(static d => int.TryParse(Path.GetFileName(d), out _));
            loaded.TestRun(new byte[64]);
            Assert.InRange(program.Result.Value.Processes, before / 2, before * 2);
            Assert.InRange(program.Result.Value.ThreadsOfNewest, 1, 10_000);
            Assert.True(program.Result.Value.NewestStart > 0 && program.Result.Value.Newest > 0);
            program.Result.Dispose();
        }
    }

    [Fact]
    public unsafe void Processes_under_the_twin_are_those_it_was_given()
    {
        var program = new MeasureProcesses();
        using var twin = new TwinEngine();
        var tasks = stackalloc TaskStruct[4];
        tasks[0] = new TaskStruct { ProcessId = 1, ThreadId = 1, StartTime = 10 };
        tasks[1] = new TaskStruct { ProcessId = 7, ThreadId = 7, StartTime = 30 };
        tasks[2] = new TaskStruct { ProcessId = 7, ThreadId = 8, StartTime = 31 };
        tasks[3] = new TaskStruct { ProcessId = 5, ThreadId = 5, StartTime = 20 };
        twin.Environment.AllTasks = [(nint)tasks, (nint)(tasks + 1), (nint)(tasks + 2), (nint)(tasks + 3)];
        twin.Run(program, new byte[64]);
        var result = program.Result.Value;
        Assert.Equal((7, 3, 2, 30ul), (result.Newest, result.Processes, result.ThreadsOfNewest, result.NewestStart));
    }

    [KernelTheory(Needs = ["packet dynptrs"])]
    [InlineData(true)]
    [InlineData(false)]
    public void Heads_are_as_long_as_what_they_hold(bool kernel)
    {
        var program = new CopyHeads();
        using var twin = new TwinEngine();
        using var run = new Runner(program, kernel, twin);
        run.Packet(20);
        run.Packet(100);
        using var reader = new RingBufferReader<byte>(program.Heads);
        var lengths = new List<int>();
        reader.DrainBytes(head =>
        {
            lengths.Add(head.Length);
            Assert.All(head.ToArray(), static b => Assert.Equal(7, b));
        });
        Assert.Equal([20, 32], lengths);
        Assert.Equal(0ul, program.Lost.Value);
    }

    [KernelTheory(Needs = ["user ring buffer"])]
    [InlineData(true)]
    [InlineData(false)]
    public void Orders_count_from_the_next_packet_on(bool kernel)
    {
        var program = new ObeyOrders();
        using var twin = new TwinEngine();
        using var run = new Runner(program, kernel, twin);
        using var writer = new UserRingBufferWriter<ObeyOrders.Order>(program.Orders);
        Assert.Equal(XdpAction.Pass, run.Packet(60));
        Assert.True(writer.TryWrite(new ObeyOrders.Order { Interface = 1, Drop = 1 }));
        Assert.Equal(XdpAction.Drop, run.Packet(60));
        Assert.Equal(XdpAction.Drop, run.Packet(60));
        Assert.True(writer.TryWrite(new ObeyOrders.Order { Interface = 1 }));
        Assert.Equal(XdpAction.Pass, run.Packet(60));
    }

    [KernelTheory(Needs = ["arena"])]
    [InlineData(true)]
    [InlineData(false)]
    public void The_process_walks_the_list_that_the_program_makes(bool kernel)
    {
        var program = new RememberLengths();
        using var twin = new TwinEngine();
        using var run = new Runner(program, kernel, twin);
        program.Memory.At<ulong>(0).Value = 0;
        program.Memory.At<ulong>(4096).Value = 0;
        run.Packet(60);
        run.Packet(80);
        run.Packet(100);
        var lengths = new List<ulong>();
        for (var node = program.Head.Value; !node.IsNull; node = node.Value.Next)
        {
            lengths.Add(node.Value.Length);
        }

        Assert.Equal([100, 80, 60], lengths);
    }

    private sealed class Runner(XdpProgram program, bool kernel, TwinEngine twin) : IDisposable
    {
        private readonly LoadedProgram? _loaded = kernel ? ProgramLoader.Load(ProgramCompiler.Compile(program, KernelTarget.Running)) : null;
        private readonly bool _bound = Bind(program, kernel, twin);

        public XdpAction Packet(int length)
        {
            var packet = new byte[length];
            packet.AsSpan().Fill(7);
            return _loaded is not null && !_bound ? (XdpAction)_loaded.TestRun(packet).ReturnValue : twin.Run(program, packet).Action;
        }

        public void Dispose()
        {
            foreach (var map in ProgramGraph.Maps(program))
            {
                map.Dispose();
            }

            _loaded?.Dispose();
        }

        private static bool Bind(XdpProgram program, bool kernel, TwinEngine twin)
        {
            if (!kernel)
            {
                twin.Bind(program);
            }

            return !kernel;
        }
    }
}
