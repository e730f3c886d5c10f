using System.Diagnostics;
using Skep.Benchmarks;
using Skep.Benchmarks.Edge;
using Skep.Bpf.Compiler;
using Skep.Bpf.Programming;
using Skep.Edge;

// How long the agent spends compiling when it starts: every program once, in a process that has compiled nothing before. The edge is compared
// with clang, which reads, optimises and writes the same algorithm from C.
var options = new EdgeOptions();
var maps = new EdgeMaps(options);
BpfProgram[] programs = [new EdgeProgram(maps, options)];
var rows = new List<BenchmarkRow>();
var total = 0.0;
double? clang = null;
var source = Path.Combine(AppContext.BaseDirectory, "edge.c");
var started = Stopwatch.GetTimestamp();
_ = ClangObject.Compile(source, $"-DRING_SIZE={options.RingSize}");
clang = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
foreach (var program in programs)
{
    started = Stopwatch.GetTimestamp();
    ProgramCompiler.Compile(program);
    var milliseconds = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
    total += milliseconds;
    rows.Add(new(program.Name, "compile, cold", "ms", milliseconds, program is EdgeProgram ? clang : null, program is EdgeProgram ? "clang -O2" : null));
}

rows.Add(new("all programs", "compile, cold", "ms", total, null, null));
BenchmarkRow.Publish(rows, args);
return 0;
