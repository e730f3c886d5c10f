using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;
using Skep.Bpf.Kernel;

namespace Skep.Bpf.Buffers;

/// <summary>Waits for one descriptor to become readable, again and again and without allocation. One waiter at a time.</summary>
internal sealed unsafe class EpollWatch : IValueTaskSource, IDisposable
{
    private readonly KernelHandle _handle;
    private readonly ulong _key;
    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };
    private CancellationTokenRegistration _registration;
    private CancellationToken _token;
    private int _waiting;

    internal EpollWatch(KernelHandle handle)
    {
        // The descriptor stays open as long as the watch is: its number must not be reused while epoll knows it.
        var added = false;
        handle.DangerousAddRef(ref added);
        _handle = handle;
        try
        {
            _key = EpollLoop.Instance.Add(this, Descriptor);
        }
        catch
        {
            handle.DangerousRelease();
            throw;
        }
    }

    private int Descriptor => (int)_handle.DangerousGetHandle();

    internal ValueTask WaitAsync(CancellationToken cancellationToken)
    {
        _core.Reset();
        _token = cancellationToken;
        Volatile.Write(ref _waiting, 1);
        EpollLoop.Instance.Arm(_key, Descriptor);
        _registration = cancellationToken.UnsafeRegister(static state => ((EpollWatch)state!).Cancel(), this);
        return new ValueTask(this, _core.Version);
    }

    internal void Signal()
    {
        if (Interlocked.Exchange(ref _waiting, 0) == 1)
        {
            _core.SetResult(true);
        }
    }

    private void Cancel()
    {
        if (Interlocked.Exchange(ref _waiting, 0) == 1)
        {
            _core.SetException(new OperationCanceledException(_token));
        }
    }

    public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    public void GetResult(short token)
    {
        // Waits for a cancellation under way, so that it cannot hit the next wait.
        _registration.Dispose();
        _core.GetResult(token);
    }

    public void Dispose()
    {
        try
        {
            EpollLoop.Instance.Remove(_key, Descriptor);
        }
        finally
        {
            _handle.DangerousRelease();
            if (Interlocked.Exchange(ref _waiting, 0) == 1)
            {
                _core.SetException(new ObjectDisposedException(nameof(RingBufferSource)));
            }
        }
    }
}
