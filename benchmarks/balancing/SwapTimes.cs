using System.Diagnostics;
using Skep.Balancing;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Programs;
using Skep.Edge;

namespace Skep.Benchmarks.Balancing;

/// <summary>
/// What another program costs while packets flow: compiling it in a process that has compiled before, loading it, and putting it in the place of the one at work, on the
/// loopback device. Elapsed time; the aim is 200 ms for all of it.
/// </summary>
internal static class SwapTimes
{
    private const int Rounds = 20;
    private const int Loopback = 1;
    private const double Aim = 200;

    internal static void Measure(List<BenchmarkRow> rows, Setting setting, string name)
    {
        foreach (var (shape, options) in setting.Shapes)
        {
            using var first = ProgramLoader.Load(ProgramCompiler.Compile(new EdgeProgram(setting.Maps, options)));
            using var link = XdpLink.Attach(first, Loopback, XdpMode.Generic);
            var times = new List<(double Compile, double Load, double Swap)>();
            for (var round = 0; round < Rounds; round++)
            {
                var started = Stopwatch.GetTimestamp();
                var spec = ProgramCompiler.Compile(new EdgeProgram(setting.Maps, options));
                var compiled = Stopwatch.GetTimestamp();
                using var next = ProgramLoader.Load(spec);
                var loaded = Stopwatch.GetTimestamp();
                link.Update(next);
                times.Add((Milliseconds(started, compiled), Milliseconds(compiled, loaded), Milliseconds(loaded, Stopwatch.GetTimestamp())));
            }

            rows.Add(new($"{shape} program, {name}, compiled anew", "time, median", "ms", Median(times.Select(t => t.Compile)), null, null));
            rows.Add(new($"{shape} program, {name}, loaded", "time, median", "ms", Median(times.Select(t => t.Load)), null, null));
            rows.Add(new($"{shape} program, {name}, swapped", "time, median", "ms", Median(times.Select(t => t.Swap)), null, null));
            rows.Add(new($"{shape} program, {name}, all three", "time, median", "ms", Median(times.Select(t => t.Compile + t.Load + t.Swap)), Aim, "the aim"));
        }
    }

    private static double Milliseconds(long from, long to) => Stopwatch.GetElapsedTime(from, to).TotalMilliseconds;

    private static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted[sorted.Length / 2];
    }
}
