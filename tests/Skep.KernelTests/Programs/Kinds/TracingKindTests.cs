using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Skep.Bpf.Compiler;
using Skep.Bpf.Elf;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.KernelTests.Surroundings;
using Skep.Samples.Programs;

namespace Skep.KernelTests.Programs.Kinds;

public sealed partial class TracingKindTests
{
    private const string LibC = "/lib/x86_64-linux-gnu/libc.so.6";
    private const uint GetPriorityNumber = 140, Established = 1, Listening = 10;

    [Proves("tracepoint")]
    [KernelFact]
    public void States_of_a_port_are_counted_at_a_tracepoint()
    {
        using var inside = new TestNamespace();
        inside.Run(() =>
        {
            using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 47_011));
            var program = new CountStates(47_011);
            using (program.Attach())
            {
                listener.Listen();
                using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                client.Connect(listener.LocalEndPoint!);
                using var accepted = listener.Accept();
            }

            Assert.Equal(1ul, Sum(program.Reached, Listening));
            Assert.Equal(1ul, Sum(program.Reached, Established));
        });
    }

    [KernelFact]
    public void The_struct_of_a_tracepoint_is_checked_against_its_format()
    {
        var format = TracepointFormat.Read("sock/inet_sock_set_state");
        Assert.Empty(format.Mismatches<CountStates.StateChange>());
        Assert.Equal((24, 2, false), format.Fields.Where(f => f.Name == "sport").Select(f => (f.Offset, f.Size, f.IsSigned)).Single());
        Assert.Contains("'Wide'", Assert.Single(format.Mismatches<TooWide>()), StringComparison.Ordinal);
        Assert.Contains("group/name", Assert.Throws<NotSupportedException>(() => TracepointFormat.Read("sock/no_such_event")).Message, StringComparison.Ordinal);
    }

    [Proves("BTF raw tracepoint")]
    [KernelFact]
    public void New_processes_are_counted_at_a_typed_tracepoint()
    {
        var program = new CountProcesses(Environment.ProcessId);
        using (program.Attach())
        {
            using var child = Start("true");
        }

        Assert.True(program.Started.Value > 0, "no new process was seen");
    }

    [Proves("raw tracepoint")]
    [KernelFact]
    public void System_calls_are_counted_at_an_untyped_tracepoint()
    {
        // getpriority(2) is called by nobody else in this process.
        var program = new CountSystemCalls(Environment.ProcessId, GetPriorityNumber);
        using (program.Attach())
        {
            for (var i = 0; i < 5; i++)
            {
                getpriority(0, 0);
            }
        }

        Assert.Equal(5ul, program.Calls.Value);
        Detached(program.Calls, () => getpriority(0, 0));
    }

    [Proves("writable raw tracepoint")]
    [KernelFact]
    public unsafe void A_writable_tracepoint_changes_what_the_kernel_returns()
    {
        using var packets = ProgramLoader.Load(ProgramCompiler.Compile(new CountPackets()));
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(new FailTestRuns(gettid())));
        var packet = new byte[64];
        Assert.Equal((int)XdpAction.Pass, packets.TestRun(packet).ReturnValue);
        using (RawTracepointLink.Attach(program))
        {
            Assert.Equal(71, Assert.Throws<Skep.Bpf.BpfException>(() => packets.TestRun(packet)).ErrorNumber);
        }
    }

    [Proves("perf event")]
    [KernelFact]
    public void Samples_show_where_a_thread_is()
    {
        var program = new SampleProcess();
        using var link = program.Attach(gettid());
        var value = 1u;
        Eventually.True(
            () =>
            {
                for (var i = 0; i < 100_000; i++)
                {
                    value = (value * 1664525) + 1013904223;
                }

                return program.InProcess.Value > 2;
            },
            "three samples were taken in the process");
        Assert.NotEqual(0u, value | 1);
    }

    [Proves("uprobe")]
    [KernelFact]
    public void Calls_of_a_library_function_are_counted_in_a_child_process()
    {
        var program = new CountCalls();
        using (program.Attach(LibC, "getpriority"))
        {
            // renice asks for the priority before and after it sets it.
            using var child = Start("sh", "-c", "for i in 1 2 3 4 5; do renice -n 0 -p $$; done");
            Assert.Equal(10ul, program.Calls.Value);
        }

        using var later = Start("sh", "-c", "renice -n 0 -p $$");
        Assert.Equal(10ul, program.Calls.Value);
    }

    [KernelFact]
    public void The_return_of_a_function_is_seen_and_many_functions_by_one_link()
    {
        var results = new LastResult();
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(results));
        using (UprobeLink.Attach(program, UprobePoint.AtFunction(LibC, "toupper"), Environment.ProcessId, isReturn: true))
        {
            toupper('a');
            Assert.Equal((1ul, (ulong)'A'), (results.Calls.Value, results.Last.Value));
        }

        var many = new ManyFunctions();
        using var multi = ProgramLoader.Load(ProgramCompiler.Compile(many));
        UprobePoint[] points = [UprobePoint.AtFunction(LibC, "toupper"), UprobePoint.AtFunction(LibC, "tolower")];
        using (UprobeLink.AttachMany(multi, points, Environment.ProcessId))
        {
            toupper('a');
            tolower('A');
            tolower('A');
        }

        Assert.Equal(3ul, many.Calls.Value);
        Detached(many.Calls, () => toupper('a'));
        Assert.Contains("no function 'no_such'", Assert.Throws<EntryPointNotFoundException>(() => UprobePoint.AtFunction(LibC, "no_such")).Message, StringComparison.Ordinal);
    }

    [Proves("syscall program")]
    [KernelFact]
    public void A_syscall_program_is_called_with_a_struct()
    {
        var program = new AddNumbers();
        Assert.Equal(42ul, program.Call(40, 2));
        Assert.Equal(1ul, program.Calls.Value);
    }

    [Proves("USDT")]
    [KernelFact]
    public unsafe void Arguments_of_a_USDT_probe_are_read_and_its_semaphore_is_counted()
    {
        var path = Path.Combine(Path.GetTempPath(), $"skep-usdt-{Guid.NewGuid():N}");
        using var sum = new Global<long>("sum");
        try
        {
            using var fixture = new UsdtFixture(path);
            Assert.Equal(0, fixture.Semaphore);
            var links = SumProbeArgument.Attach(path, "skep", "value", sum);
            Assert.Single(links);
            Assert.Equal(1, fixture.Semaphore);
            fixture.Call(30);
            fixture.Call(-7);
            Assert.Equal(23, sum.Value);
            links.ForEach(link => link.Dispose());
            Eventually.True(() => fixture.Semaphore == 0, "the semaphore was counted down");
            Assert.Empty(ExecutableFile.Read(path).FindUsdt("skep", "other"));
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>A link that was closed lasts while a child process of another test has the descriptor.</summary>
    private static void Detached(Global<ulong> count, Action action) => Eventually.True(
        () =>
        {
            var before = count.Value;
            action();
            return count.Value == before;
        },
        "the program was detached");

    private static ulong Sum(PerCpuArrayMap<ulong> map, uint index)
    {
        var values = new ulong[Environment.ProcessorCount * 8];
        return map.TryGet(index, values) ? values.Aggregate(0ul, (a, b) => a + b) : 0;
    }

    private static Process Start(string file, params string[] arguments)
    {
        var process = Process.Start(new ProcessStartInfo(file, arguments) { RedirectStandardOutput = true })!;
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(60)), $"{file} does not end");
        Assert.Equal(0, process.ExitCode);
        return process;
    }

    [LibraryImport("libc")]
    private static partial int gettid();

    [LibraryImport("libc")]
    private static partial int getpriority(int which, int who);

    [LibraryImport("libc")]
    private static partial int toupper(int character);

    [LibraryImport("libc")]
    private static partial int tolower(int character);

    [StructLayout(LayoutKind.Explicit)]
    private struct TooWide
    {
        // The kernel has two fields of 4 bytes there.
        [FieldOffset(16)] public ulong Wide;
    }

    private sealed unsafe class FailTestRuns(int thread) : UntypedTracepointProgram
    {
        private const int ProtocolError = 71;
        private readonly uint _thread = (uint)thread;

        public override string Section => "raw_tp.w/bpf_test_finish";

        public override void Run(ref RawTracepointContext context)
        {
            var error = context.Pointer<int>(0);
            if ((uint)Helper.GetCurrentPidTgid() == _thread)
            {
                *error = -ProtocolError;
            }
        }
    }

    private sealed class LastResult : UprobeProgram
    {
        public Global<ulong> Calls { get; } = new("calls");

        public Global<ulong> Last { get; } = new("last");

        public override string Section => "uretprobe";

        public override void Run(ref RegistersContext context)
        {
            Calls.Value++;
            Last.Value = context.Result;
        }
    }

    private sealed class ManyFunctions : UprobeProgram
    {
        public Global<ulong> Calls { get; } = new("calls");

        public override string Section => "uprobe.multi";

        public override void Run(ref RegistersContext context) => Interlocked.Increment(ref Calls.Value);
    }
}
