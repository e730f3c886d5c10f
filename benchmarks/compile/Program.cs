using System.Diagnostics;
using Skep.Balancing;
using Skep.Benchmarks;
using Skep.Bpf.Compiler;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Engine;
using Skep.Flows;

// What the agent spends on compiling when it starts, the JIT of the compiler itself included: every program once, in a process that has compiled nothing before. The edge is compared
// with clang, which reads, optimises and writes the same algorithm from C.
var options = new EdgeOptions();
var maps = new EdgeMaps(options);
var flows = new FlowMaps();
var events = new KernelEventMaps("events");
BpfProgram[] programs =
[
    new EdgeProgram(maps, options), new FlowProgram(flows, FlowHook.Ingress), new FlowProgram(flows, FlowHook.Egress),
    new DropProgram(events), new RetransmitProgram(events), new SocketStateProgram(events),
];
var rows = new List<BenchmarkRow>();
var source = Path.Combine(AppContext.BaseDirectory, "edge.c");
var (_, clang) = ClangObject.CompileTimed(source);
var instructions = 0;
var target = KernelTarget.Running with { Translated = n => instructions += n };
var began = Stopwatch.GetTimestamp();
var begun = Environment.CpuUsage.TotalTime;
foreach (var program in programs)
{
    var before = Environment.CpuUsage.TotalTime;
    ProgramCompiler.Compile(program, target);
    var spent = (Environment.CpuUsage.TotalTime - before).TotalMilliseconds;
    rows.Add(new(program.Name, "compile, cold, CPU time", "ms", spent, program is EdgeProgram ? clang.TotalMilliseconds : null, program is EdgeProgram ? "clang -O2" : null));
}

var total = Environment.CpuUsage.TotalTime - begun;
rows.Add(new("all programs", "compile, cold, CPU time", "ms", total.TotalMilliseconds, null, null));
rows.Add(new("all programs", "compile, cold, elapsed", "ms", Stopwatch.GetElapsedTime(began).TotalMilliseconds, null, null));
rows.Add(new("all programs", "IL instructions, inlined code each time", "count", instructions, null, null));
rows.Add(new("all programs", "IL instructions per second of CPU time, cold", "1/s", instructions / total.TotalSeconds, null, null));

// What the agent does when what it balances has changed: the edge with all ways of direct return, in a process that has compiled it before.
const int Again = 5;
var direct = options with { Direct = new DirectOptions { Seed = 42 } };
var edge = new EdgeProgram(new EdgeMaps(direct), direct);
var times = new List<double>();
var allocated = 0L;
for (var i = 0; i <= Again; i++)
{
    // Of this thread: meanwhile another makes better code of what was used most.
    var (before, memory) = (ThreadClock.Nanoseconds, GC.GetAllocatedBytesForCurrentThread());
    ProgramCompiler.Compile(edge, target);
    times.Add((ThreadClock.Nanoseconds - before) / 1e6);
    allocated = GC.GetAllocatedBytesForCurrentThread() - memory;
}

rows.Add(new("edge with direct return", "compile after the others, CPU time of the thread", "ms", times[0], null, null));
rows.Add(new("edge with direct return", "compile again, best of 5, CPU time of the thread", "ms", times.Skip(1).Min(), 200, "goal"));
rows.Add(new("edge with direct return", "allocated", "MB", allocated / 1e6, null, null));
BenchmarkRow.Publish(rows, args);
return 0;
