using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Skep.Benchmarks.Balancing;

/// <summary>
/// A client, some servers and one namespace for each way between them, so that what one way brings along (connection tracking) costs the others nothing. All
/// cables are veth pairs with every offload on, as the kernel makes them.
/// <code>
/// client 10.90.M.2 --- middle M 10.90.M.1, 10.90.(10 + 10M + S).1 --- server S 10.90.(10 + 10M + S).2     M: 0 direct and proxies, 1 nft, 2 and 3 ours
/// </code>
/// </summary>
internal sealed partial class NamespaceNetwork : IDisposable
{
    internal const int MostServers = 10;

    private readonly string _prefix = $"skb{Environment.ProcessId % 10000}";
    private readonly List<Process> _processes = [];

    /// <summary>Makes it.</summary>
    /// <param name="servers">Number of servers, at most <see cref="MostServers"/>.</param>
    /// <param name="middles">Number of ways between.</param>
    internal NamespaceNetwork(int servers = 3, int middles = 4)
    {
        (Servers, Middles) = (servers, middles);
        foreach (var name in Names)
        {
            NamespaceTool.Run("ip", "netns", "add", name);
            Ip(name, "link", "set", "lo", "up");
        }

        for (var m = 0; m < Middles; m++)
        {
            Exec(Middle(m), "sysctl", "-qw", "net.ipv4.ip_forward=1");
            Cable(Middle(m), "c", Client, $"m{m}", $"10.90.{m}");
            Ip(Client, "route", "add", $"10.90.10{m}.0/24", "via", $"10.90.{m}.1");
            for (var s = 0; s < Servers; s++)
            {
                Cable(Middle(m), $"s{s}", Server(s), $"m{m}", $"10.90.{Subnet(m, s)}");
                Ip(Client, "route", "add", $"10.90.{Subnet(m, s)}.0/24", "via", $"10.90.{m}.1");
                Ip(Server(s), "route", "add", $"10.90.{m}.0/24", "via", $"10.90.{Subnet(m, s)}.1");
            }
        }

        // Ports of closed connections are many times those of a second.
        Exec(Client, "sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535", "net.ipv4.tcp_tw_reuse=1");
    }

    internal int Servers { get; }

    internal int Middles { get; }

    internal string Client => _prefix + "-client";

    private IEnumerable<string> Names => [Client, .. Enumerable.Range(0, Middles).Select(Middle), .. Enumerable.Range(0, Servers).Select(Server)];

    internal string Middle(int m) => string.Create(CultureInfo.InvariantCulture, $"{_prefix}-mid{m}");

    internal string Server(int s) => string.Create(CultureInfo.InvariantCulture, $"{_prefix}-srv{s}");

    internal static string Address(int m, int s) => $"10.90.{Subnet(m, s)}.2";

    internal static string Virtual(int m, int n = 1) => string.Create(CultureInfo.InvariantCulture, $"10.90.10{m}.{n}");

    /// <summary>Runs a program in a namespace to its end.</summary>
    internal static string Exec(string name, params string[] command) => NamespaceTool.Run("ip", ["netns", "exec", name, .. command]);

    /// <summary>Starts a program in a namespace; it ends with the network.</summary>
    internal void Serve(string cgroup, string name, params string[] command) => _processes.Add(NamespaceTool.Start("sh", NamespaceTool.InGroup(cgroup, name, command)));

    /// <summary>Says why a server has ended, if one has.</summary>
    internal void RequireServers()
    {
        if (_processes.Find(p => p.HasExited) is { } ended)
        {
            throw new NotSupportedException(
                $"{string.Join(' ', ended.StartInfo.ArgumentList)} ended with {ended.ExitCode}: {ended.StandardError.ReadToEnd()}{ended.StandardOutput.ReadToEnd()}");
        }
    }

    /// <summary>Does something on a thread that has entered the namespace.</summary>
    internal static T Inside<T>(string name, Func<T> work)
    {
        var result = default(T)!;
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                const int newNetwork = 0x40000000;
                using var handle = File.OpenHandle("/run/netns/" + name);
                if (setns(handle, newNetwork) != 0)
                {
                    throw new InvalidOperationException($"setns {name}: errno {Marshal.GetLastPInvokeError()}");
                }

                result = work();
            }
            catch (Exception e)
            {
                failure = e; // Thrown to whoever asked.
            }
        });
        thread.Start();
        thread.Join();
        return failure is null ? result : throw new InvalidOperationException(failure.Message, failure);
    }

    /// <summary>Ends the programs that serve.</summary>
    internal void StopServing()
    {
        foreach (var process in _processes)
        {
            process.Kill(entireProcessTree: true);
            process.WaitForExit();
            process.Dispose();
        }

        _processes.Clear();
    }

    public void Dispose()
    {
        StopServing();
        foreach (var name in Names)
        {
            NamespaceTool.Run("ip", "netns", "delete", name);
        }
    }

    private static int Subnet(int m, int s) => 10 + (10 * m) + s;

    private static void Ip(string name, params string[] arguments) => NamespaceTool.Run("ip", ["-n", name, .. arguments]);

    private static void Cable(string near, string nearDevice, string far, string farDevice, string prefix)
    {
        NamespaceTool.Run("ip", "link", "add", nearDevice, "netns", near, "type", "veth", "peer", "name", farDevice, "netns", far);
        Ip(near, "address", "add", $"{prefix}.1/24", "dev", nearDevice);
        Ip(far, "address", "add", $"{prefix}.2/24", "dev", farDevice);
        Ip(near, "link", "set", nearDevice, "up");
        Ip(far, "link", "set", farDevice, "up");
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setns(SafeFileHandle descriptor, int type);
}
