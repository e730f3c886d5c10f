using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Skep.Cli.Lab.Kernel;

namespace Skep.Cli.Lab.Network;

/// <summary>
/// A network namespace that exists under /run/netns. Work is done in it by threads that enter it and then end: a socket or a child process
/// belongs to the namespace of the thread that made it, whoever uses it later.
/// </summary>
internal sealed class LabNamespace : IDisposable
{
    private const int StackBytes = 256 * 1024;

    private readonly SafeFileHandle _handle;

    internal LabNamespace(string name)
    {
        Name = name;
        _handle = File.OpenHandle(PathOf(name));
    }

    internal string Name { get; }

    internal static string PathOf(string name) => $"/run/netns/{name}";

    /// <summary>Runs the work on a new thread inside the namespace.</summary>
    internal Task<T> RunAsync<T>(Func<T> work)
    {
        var completion = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() =>
        {
            try
            {
                if (Libc.setns(_handle, Libc.CLONE_NEWNET) != 0)
                {
                    throw new LabException($"setns {Name}: errno {Marshal.GetLastPInvokeError()}");
                }

                completion.SetResult(work());
            }
            catch (Exception e)
            {
                completion.SetException(e); // Told to whoever waits for the task.
            }
        }, StackBytes)
        { IsBackground = true, Name = Name };
        thread.Start();
        return completion.Task;
    }

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

    public void Dispose() => _handle.Dispose();
}
