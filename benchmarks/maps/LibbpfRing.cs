using System.Diagnostics;
using System.Globalization;

namespace Skep.Benchmarks.Maps;

/// <summary>The same drain by libbpf's ring_buffer, in a C program that is compiled here where a compiler and libbpf's headers are.</summary>
internal static class LibbpfRing
{
    /// <summary>Records per second of CPU time in the median round; null where it cannot be built, and why on standard error.</summary>
    internal static (double Mean, double Best)? Measure(uint ring, uint program, int rounds, int repeat)
    {
        var compiler = new[] { "gcc", "clang", "clang-19", "clang-14", "cc" }
            .SelectMany(name => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Select(folder => Path.Combine(folder, name)))
            .FirstOrDefault(File.Exists);
        if (compiler is null || !File.Exists("/usr/include/bpf/libbpf.h"))
        {
            Console.Error.WriteLine("no C compiler or no libbpf (apt-get install gcc libbpf-dev): rows without a baseline");
            return null;
        }

        var executable = Path.Combine(Path.GetTempPath(), $"skep-bench-ring-{Environment.ProcessId}");
        try
        {
            Run(compiler, "-O2", "-o", executable, Path.Combine(AppContext.BaseDirectory, "ring.c"), "-lbpf");
            string[] numbers = [.. new[] { (long)ring, program, rounds, repeat }.Select(n => n.ToString(CultureInfo.InvariantCulture))];
            var fields = Run(executable, numbers).Split(' ');
            var records = long.Parse(fields[0], CultureInfo.InvariantCulture);
            var (total, best) = (long.Parse(fields[2], CultureInfo.InvariantCulture), long.Parse(fields[3], CultureInfo.InvariantCulture));
            return records == (long)rounds * repeat
                ? (records * 1e9 / total, repeat * 1e9 / best)
                : throw new InvalidOperationException($"libbpf drained {records} records of {(long)rounds * repeat}");
        }
        finally
        {
            File.Delete(executable);
        }
    }

    private static string Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output.Trim() : throw new InvalidOperationException($"{program} ended with {process.ExitCode}");
    }
}
