using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Skep.Bpf;
using Skep.Bpf.Kernel;

namespace Skep.Engine;

/// <summary>
/// A network namespace. Work is done in it by threads that enter it and then end: a socket or a child process belongs to the namespace of the thread that made it, whoever
/// uses it later.
/// </summary>
public sealed class NetworkNamespace : IDisposable
{
    private const int StackBytes = 256 * 1024;

    private readonly SafeFileHandle _handle;
    private readonly string _name;

    private NetworkNamespace(SafeFileHandle handle, string name) => (_handle, _name) = (handle, name);

    /// <summary>A namespace that has a path, for example under <c>/run/netns</c>.</summary>
    /// <exception cref="IOException">There is none.</exception>
    public static NetworkNamespace Open(string path) => new(File.OpenHandle(path), path);

    /// <summary>A new namespace without a name: it ends, with the devices in it, when nobody uses it any more, at the latest with this process.</summary>
    /// <exception cref="BpfException">EPERM without CAP_SYS_ADMIN; ENOSPC when there are too many.</exception>
    public static NetworkNamespace Create(string name) => new(
        OnThread(name, () =>
        {
            Check(LibC.unshare(LibC.CLONE_NEWNET), "Making a network namespace");
            return File.OpenHandle("/proc/thread-self/ns/net");
        }).GetAwaiter().GetResult(),
        name);

    /// <summary>The descriptor, for the kernel.</summary>
    internal SafeHandle Handle => _handle;

    /// <summary>Runs the work on a new thread inside the namespace.</summary>
    public Task<T> RunAsync<T>(Func<T> work) => OnThread(_name, () =>
    {
        Check(LibC.setns(_handle, LibC.CLONE_NEWNET), $"Entering network namespace '{_name}'");
        return work();
    });

    /// <summary>Runs the work on a new thread inside the namespace, and waits for it.</summary>
    public T Run<T>(Func<T> work) => RunAsync(work).GetAwaiter().GetResult();

    /// <inheritdoc/>
    public void Dispose() => _handle.Dispose();

    private static Task<T> OnThread<T>(string name, Func<T> work)
    {
        var completion = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() =>
        {
            try
            {
                completion.SetResult(work());
            }
            catch (Exception e)
            {
                completion.SetException(e); // Told to whoever waits for the task.
            }
        }, StackBytes)
        { IsBackground = true, Name = name };
        thread.Start();
        return completion.Task;
    }

    private static void Check(int status, string what)
    {
        if (status != 0)
        {
            throw new BpfException($"{what} failed", Marshal.GetLastPInvokeError());
        }
    }
}
