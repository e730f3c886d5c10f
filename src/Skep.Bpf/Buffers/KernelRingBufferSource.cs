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

    /// <summary>While it drains, the room of what was read is given back when it comes to this part of the ring: each time costs the programs a cache line.</summary>
    private const int PartOfRing = 16;

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
    private bool _isDraining;
    private long _visited;

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
        RefuseWhileDraining();
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

    /// <summary>
    /// Visits all records that are there, in place, and counts them; those shorter than <typeparamref name="T"/> go to <paramref name="decode"/>.
    /// A record whose visit throws counts as read.
    /// </summary>
    internal void Drain<T>(RecordVisitor<T> visit, ShortRecord<T> decode, ref long records, CancellationToken cancellationToken)
        where T : unmanaged
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        RefuseWhileDraining();
        _isDraining = true;
        _visited = 0;
        try
        {
            VisitAll(visit, decode, cancellationToken);
        }
        finally
        {
            _isDraining = false;
            records += _visited;
            Release();
        }
    }

    /// <summary>Apart from the handler, which would keep its variables in memory. What the handler needs is stored before each visit.</summary>
    private void VisitAll<T>(RecordVisitor<T> visit, ShortRecord<T> decode, CancellationToken cancellationToken)
        where T : unmanaged
    {
        var mask = _mask;
        var data = _data;
        var part = (mask + 1) / PartOfRing;
        var position = _position;
        var (given, end, count) = (position, position, 0L);
        while (!cancellationToken.IsCancellationRequested)
        {
            if (position >= end || position - given >= part)
            {
                Volatile.Write(ref *_consumer, position);
                given = position;
                end = Volatile.Read(ref *_producer);
                if (position >= end)
                {
                    break;
                }
            }

            // SAFETY: as in TryPeek; the pages stay, and the room is not given back, until after the visit.
            var header = data + (position & mask);
            var length = Volatile.Read(ref *(uint*)header);
            if ((length & Busy) != 0)
            {
                break;
            }

            position += ((length & ~Discarded) + HeaderSize + 7UL) & ~7UL;
            _next = position;
            if ((length & Discarded) != 0)
            {
                continue;
            }

            _visited = ++count;
            if (length >= (uint)sizeof(T))
            {
                // Records begin at multiples of eight bytes.
                visit(in *(T*)(header + HeaderSize));
            }
            else
            {
                visit(decode(new ReadOnlySpan<byte>(header + HeaderSize, (int)length)));
            }
        }
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

        RefuseWhileDraining();
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

    private void RefuseWhileDraining()
    {
        if (_isDraining)
        {
            throw new InvalidOperationException("The ring is being drained: the visitor must not read from it, or dispose of the reader.");
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

/// <summary>Makes a record of fewer bytes.</summary>
internal delegate T ShortRecord<T>(ReadOnlySpan<byte> bytes);
