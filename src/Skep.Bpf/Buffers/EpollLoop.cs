using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Skep.Bpf.Kernel;

namespace Skep.Bpf.Buffers;

/// <summary>One background thread for all descriptors of the process that somebody waits for.</summary>
internal sealed unsafe class EpollLoop
{
    private const int EventsPerCall = 64;

    private static readonly Lazy<EpollLoop> s_instance = new(() => new EpollLoop());

    private readonly KernelHandle _epoll;
    private readonly ConcurrentDictionary<ulong, EpollWatch> _watches = new();
    private ulong _lastKey;

    private EpollLoop()
    {
        var descriptor = LibC.epoll_create1(LibC.EPOLL_CLOEXEC);
        if (descriptor < 0)
        {
            throw new BpfException("Creating an epoll instance failed", Marshal.GetLastPInvokeError());
        }

        _epoll = new KernelHandle(descriptor);
        new Thread(Run) { IsBackground = true, Name = "skep-epoll" }.Start();
    }

    internal static EpollLoop Instance => s_instance.Value;

    /// <summary>Begins to know a descriptor; nothing is reported until it is armed.</summary>
    internal ulong Add(EpollWatch watch, int descriptor)
    {
        var key = Interlocked.Increment(ref _lastKey);
        _watches[key] = watch;
        try
        {
            Control(LibC.EPOLL_CTL_ADD, descriptor, LibC.EPOLLONESHOT, key);
        }
        catch
        {
            _watches.TryRemove(key, out _);
            throw;
        }

        return key;
    }

    /// <summary>Reports once when the descriptor is readable, at once when it is already.</summary>
    internal void Arm(ulong key, int descriptor) => Control(LibC.EPOLL_CTL_MOD, descriptor, LibC.EPOLLIN | LibC.EPOLLONESHOT, key);

    internal void Remove(ulong key, int descriptor)
    {
        _watches.TryRemove(key, out _);
        Control(LibC.EPOLL_CTL_DEL, descriptor, 0, key);
    }

    private void Control(int operation, int descriptor, uint events, ulong key)
    {
        var data = stackalloc byte[EpollEvent.Size];
        EpollEvent.Write(data, events, key);
        using var lease = _epoll.Borrow();
        if (LibC.epoll_ctl(lease.Descriptor, operation, descriptor, data) < 0)
        {
            throw new BpfException("Watching a ring buffer failed", Marshal.GetLastPInvokeError());
        }
    }

    private void Run()
    {
        var events = stackalloc byte[EventsPerCall * EpollEvent.Size];
        using var lease = _epoll.Borrow();
        while (true)
        {
            // Interrupted calls give -1 and are made again.
            var count = LibC.epoll_wait(lease.Descriptor, events, EventsPerCall, -1);
            for (var i = 0; i < count; i++)
            {
                if (_watches.TryGetValue(EpollEvent.ReadData(events + (i * EpollEvent.Size)), out var watch))
                {
                    watch.Signal();
                }
            }
        }
    }
}
