using System.Globalization;
using Skep.Engine;

namespace Skep.Benchmarks.Balancing;

/// <summary>
/// The CPU time of everything that takes part: servers, proxies and clients, which are in control groups of their own, with what the kernel did for their packets
/// in their name, and the kernel's threads for packets. A machine that does other work beside disturbs it far less than the time on the wall.
/// </summary>
internal sealed class NamespaceCpu : IDisposable
{
    private readonly string _directory = Path.Combine(CgroupDirectory.Of("/"), $"skep-bench-{Environment.ProcessId}");
    private readonly string[] _threads;

    internal NamespaceCpu()
    {
        foreach (var directory in new[] { Servers, Clients, Balanced })
        {
            Directory.CreateDirectory(directory);
        }

        _threads =
        [
            .. Directory.GetDirectories("/proc").Where(d => int.TryParse(Path.GetFileName(d), out _))
                .Where(d => File.Exists(d + "/comm") && File.ReadAllText(d + "/comm").StartsWith("ksoftirqd/", StringComparison.Ordinal)),
        ];
    }

    /// <summary>Group of servers and proxies.</summary>
    internal string Servers => Path.Combine(_directory, "servers");

    /// <summary>Group of clients whose sockets are left alone.</summary>
    internal string Clients => Path.Combine(_directory, "clients");

    /// <summary>Group of clients whose sockets are balanced.</summary>
    internal string Balanced => Path.Combine(_directory, "balanced");

    /// <summary>Seconds of CPU time so far.</summary>
    internal double Seconds =>
        (long.Parse(File.ReadLines(Path.Combine(_directory, "cpu.stat")).First(l => l.StartsWith("usage_usec ", StringComparison.Ordinal)).Split(' ')[1], CultureInfo.InvariantCulture) / 1e6)
        + (_threads.Sum(t => long.Parse(File.ReadAllText(t + "/schedstat").Split(' ')[0], CultureInfo.InvariantCulture)) / 1e9);

    public void Dispose()
    {
        foreach (var directory in new[] { Servers, Clients, Balanced, _directory })
        {
            Directory.Delete(directory);
        }
    }
}
