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

namespace Skep.KernelTests.KernelViews;

/// <summary>Functions of the kernel, declared as C# methods.</summary>
public unsafe class KernelFunctionTests
{
    [KernelFact]
    public void A_reference_is_taken_used_and_given_back()
    {
        var finder = new Finder(ThisThread.PidTgid);
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(finder, KernelTarget.Running));
        using (RawTracepointLink.Attach(program))
        {
            using var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            client.Connect(listener.LocalEndpoint);
        }

        Assert.Equal((ulong)Environment.ProcessId, finder.Found.Value);
        Assert.Equal(7ul, finder.Weak.Value);

        // In the process the bodies of the declarations answer.
        var task = default(TaskStruct);
        task.ProcessId = 4711;
        var inProcess = new Finder(4711ul << 32 | 1);
        using var twin = new TwinEngine();
        twin.Environment.SetTask(4711, 1, "test"u8);
        Functions.Known = &task;
        twin.Run(inProcess, [0, 2, 1]);
        Assert.Equal(4711ul, inProcess.Found.Value);
        finder.Found.Dispose();
        finder.Weak.Dispose();
    }

    [KernelTheory]
    [InlineData(typeof(Drops), "the reference that 'FromNumber' gives is dropped")]
    [InlineData(typeof(Keeps), "the reference that 'FromNumber' gives is never given back")]
    [InlineData(typeof(CallsMissing), "this kernel has no function bpf_no_such_function; ask KernelType.Exists(\"bpf_no_such_function\")")]
    [InlineData(typeof(CallsWrongly), "'Acquire' has 2 parameters, the kernel's bpf_task_acquire has 1")]
    public void A_slip_is_refused(Type program, string text)
    {
        var e = Assert.Throws<CompileException>(() => ProgramCompiler.Compile((BpfProgram)Activator.CreateInstance(program, nonPublic: true)!, KernelTarget.Running));

        Assert.Contains(text, e.Message, StringComparison.Ordinal);
        Assert.Contains("KernelFunctionTests.cs(", e.Message, StringComparison.Ordinal);
    }

    private static class Functions
    {
        public static TaskStruct* Known { get; set; }

        [KernelFunction("bpf_task_from_pid", Acquires = true)]
        public static TaskStruct* FromNumber(int number) => Known is not null && Known->ProcessId == number ? Known : null;

        [KernelFunction("bpf_task_release", Releases = true)]
        public static void Release(TaskStruct* task) => _ = task;

        [KernelFunction("bpf_no_such_function")]
        public static uint Missing(uint value) => value;

        [KernelFunction("bpf_task_acquire", Acquires = true)]
        public static TaskStruct* Acquire(TaskStruct* task, uint more) => more == 0 ? task : null;
    }

    private abstract class Probe : RawTracepointProgram
    {
        public readonly Global<ulong> Found = new("found"), Weak = new("weak");

        public override string Tracepoint => "inet_sock_set_state";
    }

    private sealed class Finder(ulong thread) : Probe
    {
        private readonly ulong _thread = thread;

        public override void Run(ref RawTracepointContext context)
        {
            if (context.Value(1) != 2 || Helper.GetCurrentPidTgid() != _thread)
            {
                return;
            }

            Weak.Value = KernelType.Exists("bpf_no_such_function") ? Functions.Missing(3) : 7;
            var task = Functions.FromNumber((int)(_thread >> 32));
            if (task != null)
            {
                Found.Value = (ulong)task->ProcessId;
                Functions.Release(task);
            }
        }
    }

    private sealed class Drops : Probe
    {
        public override void Run(ref RawTracepointContext context) => Functions.FromNumber(1);
    }

    private sealed class Keeps : Probe
    {
        public override void Run(ref RawTracepointContext context)
        {
            var task = Functions.FromNumber(1);
            if (task != null)
            {
                Found.Value = (ulong)task->ProcessId;
            }
        }
    }

    private sealed class CallsMissing : Probe
    {
        public override void Run(ref RawTracepointContext context) => Found.Value = Functions.Missing(1);
    }

    private sealed class CallsWrongly : Probe
    {
        public override void Run(ref RawTracepointContext context) => Found.Value = Functions.Acquire(null, 1) == null ? 1u : 0;
    }
}
