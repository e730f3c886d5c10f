using System.Runtime.CompilerServices;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Interpretation;
using Skep.Engine;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.Programming;

/// <summary>Work queues in the values of maps: the work is done after the program, with the entry it stands in.</summary>
public sealed class WorkQueueTests
{
    [KernelFact(Needs = ["work queues"])]
    public void Work_is_done_by_the_kernel_after_the_program()
    {
        var program = new Puts();
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program, KernelTarget.Running));
        using var entries = program.Entries;
        Assert.Equal((int)XdpAction.Pass, loaded.TestRun(new byte[64]).ReturnValue);
        Eventually.True(() => entries.TryGet(3, out var entry) && entry.Done == 1, "the work was done");
        Assert.True(entries.TryGet(3, out var seen) && seen.Key == 3);
    }

    [KernelTheory(Needs = ["work queues"])]
    [InlineData(false)]
    [InlineData(true)]
    public void Work_is_done_when_the_program_ends(bool interpreted)
    {
        var program = new Puts();
        using var twin = new TwinEngine();
        if (interpreted)
        {
            new BytecodeInterpreter(ProgramCompiler.Compile(program, KernelTarget.Running), twin).RunXdp(new byte[64]);
        }
        else
        {
            twin.Run(program, new byte[64]);
        }

        Assert.True(program.Entries.TryGet(3, out var seen));
        Assert.Equal((3ul, 1ul, 1ul), (seen.Key, seen.Done, seen.Started));
    }

    private struct Job
    {
        public BpfWorkQueue Queue;
        public ulong Key, Done, Started;
    }

    private sealed class Puts : XdpProgram
    {
        public ArrayMap<Job> Entries { get; } = new(4);

        public override XdpAction Run(ref XdpContext context)
        {
            ref var entry = ref Entries.Find(3);
            if (Unsafe.IsNullRef(ref entry) || entry.Queue.Initialize(Entries) != 0)
            {
                return XdpAction.Aborted;
            }

            entry.Queue.OnWork(Entries, static (in key, ref entry) =>
            {
                entry.Key = key;
                entry.Done = entry.Started;
            });
            entry.Started = 1;
            return entry.Queue.Start() == 0 ? XdpAction.Pass : XdpAction.Aborted;
        }
    }
}
