using System.Runtime.InteropServices;
using Skep.Bpf.Kernel;

namespace Skep.Bpf.Buffers;

/// <summary>
/// Produces into a kernel user ring buffer through its mapped pages (<c>kernel/bpf/ringbuf.c</c>, __bpf_user_ringbuf_peek).
/// <code>
/// page 0  consumer position:8 (read-only here)
/// page 1  producer position:8
/// page 2  data, twice: records of  length:30 discard:1 busy:1 | unused:4 | payload, rounded up to 8 bytes
/// </code>
/// </summary>
internal sealed unsafe class KernelUserRingBufferTarget : UserRingBufferTarget
{
    private const int HeaderSize = 8;

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

    public override bool TryWrite(ReadOnlySpan<byte> record)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        var taken = ((ulong)record.Length + HeaderSize + 7) & ~7ul;
        if (taken > _bytes || _position + taken - Volatile.Read(ref *_consumer) > _bytes)
        {
            return false;
        }

        // SAFETY: the kernel does not read beyond the producer position, and the second mapping of the data follows the first.
        var header = _data + (_position & (_bytes - 1));
        record.CopyTo(new Span<byte>(header + HeaderSize, record.Length));
        *(ulong*)header = (uint)record.Length;
        _position += taken;
        Volatile.Write(ref *_producer, _position);
        return true;
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
