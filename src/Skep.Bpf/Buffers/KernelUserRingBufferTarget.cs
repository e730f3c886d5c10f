using System.Runtime.InteropServices;
using Skep.Bpf.Kernel;

namespace Skep.Bpf.Buffers;

/// <summary>
/// Produces into a kernel user ring buffer through its mapped pages (<c>kernel/bpf/ringbuf.c</c>, __bpf_user_ringbuf_peek).
/// <code>
/// page 0  consumer position:8 (read-only here)
/// page 1  producer position:8
/// page 2  data, twice: records of a head (UserRecord) and the payload, rounded up to 8 bytes
/// </code>
/// </summary>
internal sealed unsafe class KernelUserRingBufferTarget : UserRingBufferTarget
{
    private readonly ulong _bytes;
    private readonly nuint _pageSize = (nuint)Environment.SystemPageSize;
    private readonly nuint _producerLength;
    private readonly ulong* _consumer;
    private readonly ulong* _producer;
    private readonly byte* _data;
    private ulong _position;
    private bool _disposed;

    internal KernelUserRingBufferTarget(KernelHandle map, uint bytes)
    {
        _bytes = bytes;
        _producerLength = _pageSize + (2 * (nuint)bytes);
        using var lease = map.Borrow();
        _consumer = (ulong*)Map(lease.Descriptor, _pageSize, LibC.PROT_READ, 0);
        try
        {
            _producer = (ulong*)Map(lease.Descriptor, _producerLength, LibC.PROT_READ | LibC.PROT_WRITE, (nint)_pageSize);
        }
        catch
        {
            _ = LibC.munmap(_consumer, _pageSize);
            throw;
        }

        _data = (byte*)_producer + _pageSize;
        _position = Volatile.Read(ref *_producer);
    }

    public override bool IsDrained
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return Volatile.Read(ref *_consumer) == _position;
        }
    }

    public override byte* Reserve(uint size)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        var taken = UserRecord.Taken(size);
        if (size > UserRecord.Length || taken > _bytes || _position + taken - Volatile.Read(ref *_consumer) > _bytes)
        {
            return null;
        }

        // SAFETY: the kernel does not read beyond the producer position nor a busy record, and the second mapping of the data follows the first.
        var header = _data + (_position & (_bytes - 1));
        *(ulong*)header = size | UserRecord.Busy;
        _position += taken;
        Volatile.Write(ref *_producer, _position);
        return header + UserRecord.HeaderSize;
    }

    public override void Give(byte* record, bool keep)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        UserRecord.Give(record, keep);
    }

    public override void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            _ = LibC.munmap(_consumer, _pageSize);
            _ = LibC.munmap(_producer, _producerLength);
        }
    }

    private static void* Map(int descriptor, nuint length, int protection, nint offset)
    {
        var memory = LibC.mmap(null, length, protection, LibC.MAP_SHARED, descriptor, offset);
        return memory != LibC.MAP_FAILED
            ? memory
            : throw new BpfException("Mapping a user ring buffer failed", Marshal.GetLastPInvokeError());
    }
}
