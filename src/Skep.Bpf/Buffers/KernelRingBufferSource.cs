using System.Runtime.InteropServices;
using Skep.Bpf.Kernel;

namespace Skep.Bpf.Buffers;

/// <summary>
/// Consumes a kernel ring buffer through its mapped pages (<c>kernel/bpf/ringbuf.c</c>). Positions only grow; the data pages are mapped
/// twice in a row, so that a record which wraps is contiguous.
/// <code>
/// page 0  consumer position:8 (writable)
/// page 1  producer position:8 (read-only from here on)
/// page 2  data, twice: records of  length:30 discard:1 busy:1 | page offset:4 | payload, rounded up to 8 bytes
/// </code>
/// </summary>
internal sealed unsafe class KernelRingBufferSource : RingBufferSource
{
    private const uint Busy = 1u << 31, Discarded = 1u << 30;
    private const int HeaderSize = 8;

    private readonly KernelHandle _map;
    private readonly ulong _mask;
    private readonly nuint _pageSize = (nuint)Environment.SystemPageSize;
    private readonly nuint _producerLength;
    private readonly ulong* _consumer;
    private readonly ulong* _producer;
    private readonly byte* _data;
    private EpollWatch? _watch;
    private ulong _position;
    private ulong _next;
    private bool _disposed;

    internal KernelRingBufferSource(KernelHandle map, uint bytes)
    {
        _map = map;
        _mask = bytes - 1;
        _producerLength = _pageSize + (2 * (nuint)bytes);
        using var lease = map.Borrow();
        _consumer = (ulong*)Map(lease.Descriptor, _pageSize, LibC.PROT_READ | LibC.PROT_WRITE, 0);
        try
        {
            _producer = (ulong*)Map(lease.Descriptor, _producerLength, LibC.PROT_READ, (nint)_pageSize);
        }
        catch
        {
            _ = LibC.munmap(_consumer, _pageSize);
            throw;
        }

        _data = (byte*)_producer + _pageSize;
        _position = _next = Volatile.Read(ref *_consumer);
    }

    public override bool TryPeek(out ReadOnlySpan<byte> record)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        while (_position < Volatile.Read(ref *_producer))
        {
            // SAFETY: the producer position says that a header is here, and a record that is not busy is complete; the second
            // mapping of the data follows the first, so no record leaves mapped memory.
            var header = _data + (_position & _mask);
            var length = Volatile.Read(ref *(uint*)header);
            if ((length & Busy) != 0)
            {
                break;
            }

            var size = length & ~(Busy | Discarded);
            _next = _position + ((size + HeaderSize + 7UL) & ~7UL);
            if ((length & Discarded) == 0)
            {
                record = new ReadOnlySpan<byte>(header + HeaderSize, (int)size);
                return true;
            }

            Release();
        }

        record = default;
        return false;
    }

    public override void Release()
    {
        _position = _next;
        Volatile.Write(ref *_consumer, _position);
    }

    public override ValueTask WaitAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (TryPeek(out _))
        {
            return ValueTask.CompletedTask;
        }

        _watch ??= new EpollWatch(_map);
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
            _ = LibC.munmap(_consumer, _pageSize);
            _ = LibC.munmap(_producer, _producerLength);
        }
    }

    private static void* Map(int descriptor, nuint length, int protection, nint offset)
    {
        var memory = LibC.mmap(null, length, protection, LibC.MAP_SHARED, descriptor, offset);
        return memory != LibC.MAP_FAILED
            ? memory
            : throw new BpfException("Mapping a ring buffer failed", Marshal.GetLastPInvokeError());
    }
}
