using System.Diagnostics;

namespace Skep.Benchmarks.Loader;

/// <summary>Objects to load, and the two commands that load them; what is made goes when it is disposed of.</summary>
internal sealed class Workplace : IDisposable
{
    private const string XdpTools = "/usr/lib/x86_64-linux-gnu/bpf";
    private const int Rounds = 7;

    // bpftool pins what it loads, and maps that ask for it where everybody would find them again: so it gets a bpffs of its own each time.
    private const string OwnPins = "mount -t bpf bpf /sys/fs/bpf && exec \"$@\"";

    private readonly string _folder = Directory.CreateTempSubdirectory("skep-bench-").FullName;
    private double? _aside;

    // What the script runs, compiled ahead of time: the script brings it up to date.
    private readonly Lazy<string> _skep = new(static () =>
    {
        var root = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../.."));
        Run(Path.Combine(root, "skep"), "--version");
        return Path.Combine(root, "artifacts/skep/Skep.Cli");
    });

    /// <summary>Our own object, compiled by clang, and those of xdp-tools where they are installed.</summary>
    internal IReadOnlyList<string> Objects()
    {
        var own = Path.Combine(_folder, "probe.o");
        var clang = Find("clang", "clang-19", "clang-18", "clang-17", "clang-16", "clang-15", "clang-14");
        Run(clang, "-w", "-g", "-O2", "-target", "bpf", "-mcpu=v3", "-c", Path.Combine(AppContext.BaseDirectory, "probe.c"), "-o", own);
        var others = Directory.Exists(XdpTools) ? Directory.GetFiles(XdpTools, "*.o").Order() : Enumerable.Empty<string>();
        return [own, .. others];
    }

    /// <summary>Milliseconds of CPU time that bpftool takes, the best of some runs; null when it refuses the object.</summary>
    internal double? Bpftool(string path)
    {
        _aside ??= Best("unshare", "--mount", "--propagation", "private", "sh", "-c", OwnPins, "sh", "/bin/true");
        return Best("unshare", "--mount", "--propagation", "private", "sh", "-c", OwnPins, "sh", Find("bpftool", "/usr/sbin/bpftool"), "prog", "loadall", path, "/sys/fs/bpf/p") - _aside;
    }

    /// <summary>Milliseconds of CPU time that our command takes, the best of some runs.</summary>
    internal double Skep(string path) =>
        Best(_skep.Value, "bpf", "load", path)
        ?? throw new InvalidOperationException($"skep does not load {path}");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static double? Best(string command, params string[] arguments)
    {
        var best = double.MaxValue;
        for (var i = 0; i < Rounds; i++)
        {
            var before = ThreadClock.Children;
            if (Run(command, arguments) != 0)
            {
                return null;
            }

            best = Math.Min(best, (ThreadClock.Children - before).TotalMilliseconds);
        }

        return best;
    }

    private static string Find(params string[] names) =>
        names.SelectMany(n => Path.IsPathRooted(n) ? [n] : (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Select(f => Path.Combine(f, n)))
            .FirstOrDefault(File.Exists) ?? throw new InvalidOperationException($"this benchmark needs {names[0]}: apt-get install {names[0]}");

    private static int Run(string command, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        process.ErrorDataReceived += (_, _) => { };
        process.BeginErrorReadLine();
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode;
    }
}
