using System.Collections.Concurrent;
using System.Net;
using System.Net.NetworkInformation;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Skep.Bpf;
using Skep.Bpf.Kernel;

namespace Skep.KernelTests.Surroundings;

/// <summary>
/// A network namespace without a name, on a thread of its own: what runs through <see cref="Run{T}"/> runs inside, sockets made there stay
/// there. It goes with the thread, also when the test fails.
/// </summary>
internal sealed partial class TestNamespace : IDisposable
{
    private const int NewNetwork = 0x40000000;

    private readonly BlockingCollection<Action> _work = [];
    private readonly Thread _thread;

    public TestNamespace()
    {
        var status = 0;
        using var entered = new ManualResetEventSlim();
        _thread = new Thread(() =>
        {
            status = unshare(NewNetwork) == 0 ? 0 : Marshal.GetLastPInvokeError();
            entered.Set();
            foreach (var action in _work.GetConsumingEnumerable())
            {
                action();
            }
        })
        { IsBackground = true, Name = "test namespace" };
        _thread.Start();
        entered.Wait();
        if (status != 0)
        {
            _work.CompleteAdding();
            throw new BpfException("Making a network namespace failed", status);
        }

        Run(() => RtNetlink.SetUp(RtNetlink.IndexOf("lo")));
    }

    public void Run(Action action) => Run<object?>(() =>
    {
        action();
        return null;
    });

    public T Run<T>(Func<T> function)
    {
        var result = new TaskCompletionSource<T>();
        _work.Add(() =>
        {
            try
            {
                result.SetResult(function());
            }
            catch (Exception e)
            {
                result.SetException(e);
            }
        });
        try
        {
            return result.Task.GetAwaiter().GetResult();
        }
        catch (AggregateException e) when (e.InnerException is not null)
        {
            ExceptionDispatchInfo.Throw(e.InnerException);
            throw;
        }
    }

    /// <summary>Connects this namespace with another by a veth pair and gives both ends an address; returns the interface indices.</summary>
    public (int Here, int There) Connect(
        TestNamespace other, string hereName, string thereName, IPAddress hereAddress, IPAddress thereAddress, int prefixLength = 24)
    {
        var descriptor = other.Run(() => LibC.open("/proc/thread-self/ns/net", LibC.O_RDONLY | LibC.O_CLOEXEC));
        using var handle = new KernelHandle(descriptor);
        var here = Run(() =>
        {
            RtNetlink.AddVeth(hereName, thereName, descriptor);
            var index = RtNetlink.IndexOf(hereName);
            RtNetlink.AddAddress(index, hereAddress, prefixLength);
            RtNetlink.SetUp(index);
            return index;
        });
        var there = other.Run(() =>
        {
            var index = RtNetlink.IndexOf(thereName);
            RtNetlink.AddAddress(index, thereAddress, prefixLength);
            RtNetlink.SetUp(index);
            return index;
        });
        return (here, there);
    }

    public void Dispose()
    {
        _work.CompleteAdding();
        _thread.Join();
        _work.Dispose();
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int unshare(int flags);
}
