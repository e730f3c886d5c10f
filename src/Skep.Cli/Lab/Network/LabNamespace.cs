using System.Net.Sockets;
using Skep.Engine;

namespace Skep.Cli.Lab.Network;

/// <summary>
/// A network namespace that exists under /run/netns. Work is done in it by threads that enter it and then end: a socket or a child process
/// belongs to the namespace of the thread that made it, whoever uses it later.
/// </summary>
internal sealed class LabNamespace : IDisposable
{
    private readonly NetworkNamespace _space;

    internal LabNamespace(string name)
    {
        Name = name;
        _space = NetworkNamespace.Open(PathOf(name));
    }

    internal string Name { get; }

    internal static string PathOf(string name) => $"/run/netns/{name}";

    /// <summary>Runs the work on a new thread inside the namespace.</summary>
    internal Task<T> RunAsync<T>(Func<T> work) => _space.RunAsync(work);

    internal Task RunAsync(Action work) => RunAsync(() =>
    {
        work();
        return true;
    });

    internal T Run<T>(Func<T> work) => RunAsync(work).GetAwaiter().GetResult();

    internal void Run(Action work) => RunAsync(work).GetAwaiter().GetResult();

    internal Socket CreateSocket(AddressFamily family, SocketType type, ProtocolType protocol) =>
        Run(() => new Socket(family, type, protocol));

    /// <summary>Sets a network setting, for example <c>ipv4/ip_forward</c>. /proc/sys/net shows the namespace of the thread that opens it.</summary>
    internal void Set(string setting, string value) => Run(() => File.WriteAllText($"/proc/sys/net/{setting}", value));

    public void Dispose() => _space.Dispose();
}
