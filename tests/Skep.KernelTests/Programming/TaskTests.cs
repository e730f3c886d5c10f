using Skep.Bpf.Compiler;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.KernelViews;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Engine;

namespace Skep.KernelTests.Programming;

/// <summary>Loops over the tasks of the host: nested, left early, and over the threads of one process.</summary>
public unsafe class TaskTests
{
    [KernelFact(Needs = ["task iterator"])]
    public void The_threads_of_the_current_process_are_those_that_proc_lists()
    {
        var program = new OwnThreads(Environment.ProcessId);
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program, KernelTarget.Running));
        loaded.TestRun(new byte[64]);
        var listed = Directory.GetDirectories("/proc/self/task").Length;
        Assert.InRange(program.Found.Value.Threads, 1, listed * 2);
        Assert.Equal(Environment.ProcessId, program.Found.Value.Process);
        Assert.Equal(Environment.ProcessId, program.Found.Value.First);
        program.Found.Dispose();
    }

    [Fact]
    public void Under_the_twin_loops_nest_and_end_early()
    {
        var program = new OwnThreads(5);
        using var twin = new TwinEngine();
        var tasks = stackalloc TaskStruct[4];
        tasks[0] = new TaskStruct { ProcessId = 1, ThreadId = 1 };
        tasks[1] = new TaskStruct { ProcessId = 7, ThreadId = 7 };
        tasks[2] = new TaskStruct { ProcessId = 7, ThreadId = 8 };
        tasks[3] = new TaskStruct { ProcessId = 5, ThreadId = 5 };
        twin.Environment.AllTasks = [(nint)tasks, (nint)(tasks + 1), (nint)(tasks + 2), (nint)(tasks + 3)];
        twin.Environment.TaskAddress = (nint)(tasks + 2);
        twin.Run(program, new byte[64]);
        Assert.Equal((2, 7, 5), (program.Found.Value.Threads, program.Found.Value.Process, program.Found.Value.First));
    }

    [Fact]
    public void A_kernel_whose_types_are_unknown_is_named()
    {
        var e = Assert.Throws<CompileException>(() => ProgramCompiler.Compile(new OwnThreads(1), new CompileTarget { Kernel = new Version(6, 9) }));
        Assert.Equal(Rule.KernelField, e.Id);
    }

    private sealed class OwnThreads(int wanted) : XdpProgram
    {
        private readonly int _wanted = wanted;

        public Global<Totals> Found { get; } = new();

        public override XdpAction Run(ref XdpContext context)
        {
            Found.Value = default;
            var current = Helper.GetCurrentTaskBtf();
            foreach (var thread in Tasks.ThreadsOf(current))
            {
                Found.Value.Threads++;
                Found.Value.Process = thread->ProcessId;
            }

            foreach (var process in Tasks.Processes())
            {
                foreach (var thread in Tasks.Threads())
                {
                    if (thread->ThreadId == _wanted && process->ThreadId == _wanted)
                    {
                        Found.Value.First = process->ProcessId;
                        return XdpAction.Pass;
                    }
                }
            }

            return XdpAction.Drop;
        }

        public struct Totals
        {
            public int Threads, Process, First, Rest;
        }
    }
}
