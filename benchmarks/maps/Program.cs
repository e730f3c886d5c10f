using Skep.Benchmarks;
using Skep.Benchmarks.Maps;

// Reading maps and ring buffers: nanoseconds and allocated bytes by BenchmarkDotNet, and how fast one core drains a ring, beside libbpf.
var selected = args.Contains("--ring") ? "ring" : args.Contains("--reads") ? "reads" : "";
BenchmarkRow.Publish(
[
    .. selected == "ring" ? [] : ReadBenchmark.Run(),
    .. selected == "reads" ? [] : RingBenchmark.Run(),
], args);
return 0;
