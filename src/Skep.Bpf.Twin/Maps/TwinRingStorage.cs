using Skep.Bpf.Buffers;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Twin.Maps;

/// <summary>
/// Ring buffer with the kernel's room (<c>kernel/bpf/ringbuf.c</c>): a record takes 8 bytes more than its size, rounded up to 8,
/// and a ring of n bytes holds at most n - 1.
/// </summary>
internal sealed unsafe class TwinRingStorage : TwinMapStorage
{
    private const int HeaderSize = 8;

    private readonly PinnedMemory _memory;
    private readonly ulong _mask;
    private byte* _ring;
    private ulong _produced;
    private ulong _consumed;
    private TaskCompletionSource? _waiter;

    public TwinRingStorage(BpfMap map, TwinEnvironment environment, Lock gate)
        : base(map, environment, gate)
    {
        _memory = new PinnedMemory(MaxEntries);
        _ring = _memory.Address;
        _mask = MaxEntries - 1;
    }

    /// <summary>Bytes waiting, with headers.</summary>
    public override uint Count => (uint)(_produced - _consumed);

    /// <summary>Records refused because the ring was full.</summary>
    public ulong Lost { get; private set; }

    /// <inheritdoc/>
    public override int Output(byte* record, ulong size)
    {
        RequireLive();
        var taken = (size + HeaderSize + 7) & ~7ul;
        if (size > _mask || _produced + taken - _consumed > _mask)
        {
            Lost++;
            return -Errno.TryAgain;
        }

        *(ulong*)At(_produced) = size;
        CopyAround(_produced + HeaderSize, new ReadOnlySpan<byte>(record, (int)size));
        _produced += taken;
        _waiter?.TrySetResult();
        _waiter = null;
        return 0;
    }

    /// <inheritdoc/>
    public override RingBufferSource OpenRingBuffer()
    {
        lock (Gate)
        {
            RequireLive();
            return new TwinRingSource(this);
        }
    }

    /// <summary>Copies the oldest record into <paramref name="buffer"/>, which grows to hold it; -1 when the ring is empty.</summary>
    internal int CopyOldest(ref byte[] buffer)
    {
        lock (Gate)
        {
            RequireLive();
            if (_produced == _consumed)
            {
                return -1;
            }

            var length = (int)*(ulong*)At(_consumed);
            if (buffer.Length < length)
            {
                buffer = new byte[length];
            }

            var start = (int)((_consumed + HeaderSize) & _mask);
            var first = Math.Min(length, (int)MaxEntries - start);
            new ReadOnlySpan<byte>(_ring + start, first).CopyTo(buffer);
            new ReadOnlySpan<byte>(_ring, length - first).CopyTo(buffer.AsSpan(first));
            return length;
        }
    }

    /// <summary>Gives back the room of the oldest record.</summary>
    internal void DropOldest()
    {
        lock (Gate)
        {
            RequireLive();
            if (_produced != _consumed)
            {
                _consumed += (*(ulong*)At(_consumed) + HeaderSize + 7) & ~7ul;
            }
        }
    }

    /// <summary>Completes when the ring holds a record.</summary>
    internal Task WaitAsync(CancellationToken cancellationToken)
    {
        lock (Gate)
        {
            RequireLive();
            if (_produced != _consumed)
            {
                return Task.CompletedTask;
            }

            _waiter ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _waiter.Task.WaitAsync(cancellationToken);
        }
    }

    /// <inheritdoc/>
    public override byte* Find(byte* key) => null;

    /// <inheritdoc/>
    public override int Update(byte* key, byte* value, ulong mode) => -NoSuchOperation;

    /// <inheritdoc/>
    public override int Delete(byte* key) => -NoSuchOperation;

    /// <inheritdoc/>
    public override void Dispose()
    {
        lock (Gate)
        {
            IsDisposed = true;
            _ring = null;
            _waiter?.TrySetException(new ObjectDisposedException(nameof(TwinRingStorage), "The ring buffer was disposed of."));
            _waiter = null;
        }
    }

    private protected override int ReadEntry(byte* key, byte* value) => -NoSuchOperation;

    private protected override int WriteEntry(byte* key, byte* value, ulong mode) => -NoSuchOperation;

    private protected override int NextEntry(byte* key, byte* next) => -NoSuchOperation;

    private protected override int ReadEntries(ref ulong cursor, byte* keys, byte* values, int capacity, out bool done)
    {
        done = true;
        return -NoSuchOperation;
    }

    private byte* At(ulong position) => _ring + (position & _mask);

    private void CopyAround(ulong position, ReadOnlySpan<byte> source)
    {
        var start = (int)(position & _mask);
        var first = Math.Min(source.Length, (int)MaxEntries - start);
        source[..first].CopyTo(new Span<byte>(_ring + start, first));
        source[first..].CopyTo(new Span<byte>(_ring, source.Length - first));
    }
}
