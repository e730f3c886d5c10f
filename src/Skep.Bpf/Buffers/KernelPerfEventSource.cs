using System.Runtime.InteropServices;
using Skep.Bpf.Kernel;

namespace Skep.Bpf.Buffers;

/// <summary>A perf event per CPU, and one epoll descriptor that is readable when any of them is.</summary>
internal sealed unsafe class KernelPerfEventSource : PerfEventSource
{
    private readonly PerfRing[] _rings;
    private readonly KernelHandle _any;
    private EpollWatch? _watch;
    private int _current;
    private bool _disposed;

    internal KernelPerfEventSource(KernelHandle map, int pages)
    {
        var rings = new List<PerfRing>();
        var descriptor = LibC.epoll_create1(LibC.EPOLL_CLOEXEC);
        _any = new KernelHandle(descriptor >= 0 ? descriptor : throw new BpfException("Creating an epoll instance failed", Marshal.GetLastPInvokeError()));
        try
        {
            for (var cpu = 0; cpu < PossibleCpus.Count; cpu++)
            {
                // A CPU that is off has no events, and no program runs on it.
                if (PerfRing.TryOpen(cpu, pages) is { } ring)
                {
                    rings.Add(ring);
                    Register(map, ring);
                }
            }
        }
        catch
        {
            rings.ForEach(ring => ring.Dispose());
            _any.Dispose();
            throw;
        }

        _rings = [.. rings];
    }

    public override bool TryPeek(out ReadOnlySpan<byte> record, out int cpu)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        for (var tried = 0; tried < _rings.Length; tried++)
        {
            var ring = _rings[_current];
            var found = ring.TryPeek(out record);
            Lost += ring.TakeLost();
            if (found)
            {
                cpu = ring.Cpu;
                return true;
            }

            _current = (_current + 1) % _rings.Length;
        }

        record = default;
        cpu = -1;
        return false;
    }

    public override void Release() => _rings[_current].Release();

    public override ValueTask WaitAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (TryPeek(out _, out _))
        {
            return ValueTask.CompletedTask;
        }

        _watch ??= new EpollWatch(_any);
        return _watch.WaitAsync(cancellationToken);
    }

    public override void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        try
        {
            _watch?.Dispose();
        }
        finally
        {
            // The kernel takes a closed event out of the array.
            Array.ForEach(_rings, ring => ring.Dispose());
            _any.Dispose();
        }
    }

    private void Register(KernelHandle map, PerfRing ring)
    {
        using var mapLease = map.Borrow();
        using var ringLease = ring.Handle.Borrow();
        using var anyLease = _any.Borrow();
        var (cpu, descriptor) = (ring.Cpu, ringLease.Descriptor);
        var entry = new MapElemAttributes { Map = mapLease.Descriptor, Key = &cpu, Value = &descriptor };
        BpfException.ThrowIfFailed(BpfSyscall.MapUpdateElem(ref entry), $"Putting the perf event of CPU {cpu} into its array failed");
        var data = stackalloc byte[EpollEvent.Size];
        EpollEvent.Write(data, LibC.EPOLLIN, (ulong)cpu);
        if (LibC.epoll_ctl(anyLease.Descriptor, LibC.EPOLL_CTL_ADD, descriptor, data) < 0)
        {
            throw new BpfException("Watching a perf event failed", Marshal.GetLastPInvokeError());
        }
    }
}
