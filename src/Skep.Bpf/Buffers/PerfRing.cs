using System.Runtime.InteropServices;
using Skep.Bpf.Kernel;

namespace Skep.Bpf.Buffers;

/// <summary>
/// The mapped ring of one perf event (<c>struct perf_event_mmap_page</c>, include/uapi/linux/perf_event.h).
/// <code>
/// page 0  at 1024 data_head:8 (kernel writes)   1032 data_tail:8 (we write)
/// then    data: records of  type:4 misc:2 size:2, and for
///           PERF_RECORD_SAMPLE (9)  raw size:4, bytes
///           PERF_RECORD_LOST (2)    id:8 lost:8
/// </code>
/// A record that wraps is put together in a buffer.
/// </summary>
internal sealed unsafe class PerfRing : IDisposable
{
    private const uint Lost = 2, Sample = 9;
    private const int HeadOffset = 1024, TailOffset = 1032, HeaderSize = 8;

    private readonly byte* _page;
    private readonly byte* _data;
    private readonly nuint _length;
    private readonly ulong _mask;
    private byte[] _joined = [];
    private ulong _tail;
    private ulong _next;
    private ulong _lost;

    private PerfRing(KernelHandle handle, int cpu, int pages)
    {
        (Handle, Cpu) = (handle, cpu);
        var pageSize = (nuint)Environment.SystemPageSize;
        _length = pageSize * ((nuint)pages + 1);
        _mask = ((ulong)pages * pageSize) - 1;
        using var lease = handle.Borrow();
        var memory = LibC.mmap(null, _length, LibC.PROT_READ | LibC.PROT_WRITE, LibC.MAP_SHARED, lease.Descriptor, 0);
        if (memory == LibC.MAP_FAILED)
        {
            throw new BpfException($"Mapping the perf events of CPU {cpu} failed; more may be locked by raising /proc/sys/kernel/perf_event_mlock_kb", Marshal.GetLastPInvokeError());
        }

        _page = (byte*)memory;
        _data = _page + pageSize;
        _tail = _next = *(ulong*)(_page + TailOffset);
    }

    internal KernelHandle Handle { get; }

    internal int Cpu { get; }

    /// <summary>Null when the CPU is off.</summary>
    internal static PerfRing? TryOpen(int cpu, int pages)
    {
        var descriptor = PerfOutput.Open(cpu);
        if (descriptor < 0)
        {
            return descriptor == -Errno.NoDevice ? null : throw new BpfException($"Opening the perf event of CPU {cpu} failed", descriptor);
        }

        var handle = new KernelHandle(descriptor);
        try
        {
            return new PerfRing(handle, cpu, pages);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    internal bool TryPeek(out ReadOnlySpan<byte> record)
    {
        while (_tail != Volatile.Read(ref *(ulong*)(_page + HeadOffset)))
        {
            // SAFETY: the head says that a whole record is here; records are multiples of eight bytes, so that a header never wraps.
            var header = _data + (_tail & _mask);
            var (type, size) = (*(uint*)header, *(ushort*)(header + 6));
            _next = _tail + size;
            if (type == Sample)
            {
                var whole = Whole(size);
                record = whole.Slice(HeaderSize + 4, Math.Min(BitConverter.ToInt32(whole[HeaderSize..]), size - HeaderSize - 4));
                return true;
            }

            if (type == Lost)
            {
                _lost += BitConverter.ToUInt64(Whole(size)[16..]);
            }

            Release();
        }

        record = default;
        return false;
    }

    internal ulong TakeLost()
    {
        var lost = _lost;
        _lost = 0;
        return lost;
    }

    internal void Release()
    {
        _tail = _next;
        Volatile.Write(ref *(ulong*)(_page + TailOffset), _tail);
    }

    public void Dispose()
    {
        _ = LibC.munmap(_page, _length);
        Handle.Dispose();
    }

    private ReadOnlySpan<byte> Whole(int size)
    {
        var start = (int)(_tail & _mask);
        var first = (int)Math.Min((ulong)size, _mask + 1 - (ulong)start);
        if (first == size)
        {
            return new ReadOnlySpan<byte>(_data + start, size);
        }

        if (_joined.Length < size)
        {
            // A record is at most 64 KiB long: the buffer grows once.
            _joined = new byte[ushort.MaxValue + 1];
        }

        new ReadOnlySpan<byte>(_data + start, first).CopyTo(_joined);
        new ReadOnlySpan<byte>(_data, size - first).CopyTo(_joined.AsSpan(first));
        return _joined.AsSpan(0, size);
    }
}
