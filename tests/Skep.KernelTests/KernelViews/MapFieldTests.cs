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
using Skep.KernelTests.Compiler;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.KernelViews;

/// <summary>What the kernel keeps for programs within the values of maps: locks and references.</summary>
public unsafe class MapFieldTests
{
    private const int Runs = 20_000;

    [KernelFact]
    public void What_a_lock_guards_changes_together_on_all_cpus()
    {
        var program = new Paired();
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program, KernelTarget.Running));
        Parallel.For(0, 4, _ => loaded.TestRun(new byte[64], new TestRunOptions { Repeat = Runs }));

        // Without the lock, steps of CPUs that run at once are lost.
        Assert.True(program.Pairs.TryGet(0, out var pair));
        Assert.Equal((4ul * Runs, 8ul * Runs), (pair.First, pair.Second));
        program.Pairs.Dispose();
    }

    [KernelFact]
    public void Programs_with_locks_agree_with_the_twin() =>
        Differential.Check(() => new Paired(), RandomPackets.Make(20, 80), static p => p.Pairs.TryGet(0, out var pair) ? $"{pair.First} {pair.Second}" : "none");

    [Fact]
    public void A_lock_taken_twice_is_an_error_in_the_process()
    {
        var twice = default(BpfSpinLock);
        twice.Acquire();
        Assert.Throws<InvalidOperationException>(() => twice.Acquire());
        twice.Release();
        Assert.Throws<InvalidOperationException>(() => twice.Release());
    }

    [KernelFact]
    public void A_reference_stays_in_a_map_between_runs()
    {
        var program = new Keeper(ThisThread.PidTgid);
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(program, KernelTarget.Running));
        using (RawTracepointLink.Attach(loaded))
        {
            Connect();
            Assert.Equal((1ul, 0ul), (program.Kept.Value, program.Found.Value));
            Connect();
        }

        // The second event took out the task that the first one put in.
        Assert.Equal((2ul, (ulong)Environment.ProcessId), (program.Kept.Value, program.Found.Value));
        foreach (var map in loaded.Maps)
        {
            map.Dispose();
        }

        // The same in the process, over a task of our own.
        var task = default(TaskStruct);
        task.ProcessId = 77;
        var inProcess = new Keeper((77ul << 32) | 1);
        using var twin = new TwinEngine();
        twin.Environment.SetTask(77, 1, "test"u8);
        twin.Environment.TaskAddress = (nint)(&task);
        twin.Run(inProcess, [0, 2, 1]);
        Assert.Equal((1ul, 0ul), (inProcess.Kept.Value, inProcess.Found.Value));
        twin.Run(inProcess, [0, 2, 1]);
        Assert.Equal((2ul, 77ul), (inProcess.Kept.Value, inProcess.Found.Value));
    }

    private static void Connect()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        client.Connect(listener.LocalEndpoint);
    }

    private struct Pair
    {
        public BpfSpinLock Lock;
        public ulong First, Second;
    }

    private sealed class Paired : XdpProgram
    {
        public readonly ArrayMap<Pair> Pairs = new(1);

        public override XdpAction Run(ref XdpContext context)
        {
            ref var pair = ref Pairs.Find(0);
            if (System.Runtime.CompilerServices.Unsafe.IsNullRef(ref pair))
            {
                return XdpAction.Aborted;
            }

            pair.Lock.Acquire();
            pair.First++;
            pair.Second += 2;
            pair.Lock.Release();
            return XdpAction.Pass;
        }
    }

    private struct Slot
    {
        public KernelPointer<TaskStruct> Task;
        public ulong Times;
    }

    private static class Tasks
    {
        [KernelFunction("bpf_task_acquire", Acquires = true)]
        public static TaskStruct* Acquire(TaskStruct* task) => task;

        [KernelFunction("bpf_task_release", Releases = true)]
        public static void Release(TaskStruct* task) => _ = task;
    }

    /// <summary>Keeps the task that connects, and looks at the one it kept before.</summary>
    private sealed class Keeper(ulong thread) : RawTracepointProgram
    {
        private readonly ulong _thread = thread;
        private readonly ArrayMap<Slot> _slots = new(1);

        public readonly Global<ulong> Kept = new("kept"), Found = new("found");

        public override string Tracepoint => "inet_sock_set_state";

        public override void Run(ref RawTracepointContext context)
        {
            if (context.Value(1) != 2 || Helper.GetCurrentPidTgid() != _thread)
            {
                return;
            }

            ref var slot = ref _slots.Find(0);
            if (System.Runtime.CompilerServices.Unsafe.IsNullRef(ref slot))
            {
                return;
            }

            var task = Tasks.Acquire(Helper.GetCurrentTaskBtf());
            if (task == null)
            {
                return;
            }

            var previous = slot.Task.Exchange(task);
            Kept.Value++;
            if (previous != null)
            {
                Found.Value = (ulong)previous->ProcessId;
                Tasks.Release(previous);
            }
        }
    }
}
