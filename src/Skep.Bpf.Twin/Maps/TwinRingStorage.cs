using Skep.Bpf.Buffers;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Twin.Maps;

/// <summary>
/// Ring buffer with the kernel's room (<c>kernel/bpf/ringbuf.c</c>): a record takes 8 bytes more than its size, rounded up to 8,
/// and a ring of n bytes holds at most n - 1. A record stands in one piece, beyond the end if need be, as in the kernel's double mapping.
/// <code>
/// header  8 bytes:  length : 30 | discarded : 1 | busy : 1 | unused : 32
/// </code>
/// </summary>
internal sealed unsafe class TwinRingStorage : TwinMapStorage
{
    private const int HeaderSize = 8;
    private const ulong Busy = 1ul << 31, Discarded = 1ul << 30, Length = Discarded - 1;

    private readonly PinnedMemory _memory;
    private readonly ulong _mask;
    private byte* _ring;
    private ulong _produced;
    private ulong _consumed;
    private TaskCompletionSource? _waiter;

    public TwinRingStorage(BpfMap map, TwinEnvironment environment, Lock gate)
        : base(map, environment, gate)
    {
        _memory = new PinnedMemory(2ul * MaxEntries);
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
        var room = Take(size);
        if (room is null)
        {
            return -Errno.TryAgain;
        }

        Copy(record, room, (int)size);
        Give(room, keep: true);
        return 0;
    }

    /// <inheritdoc/>
    public override byte* Reserve(uint size)
    {
        var room = Take(size);
        if (room is not null)
        {
            Environment.Reserved.Add((nint)room, this);
        }

        return room;
    }

    /// <summary>A record that was reserved goes to the reader, or is passed over.</summary>
    internal void Give(byte* record, bool keep)
    {
        var header = (ulong*)(record - HeaderSize);
        *header = (*header & Length) | (keep ? 0 : Discarded);
        _waiter?.TrySetResult();
        _waiter = null;
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
            while (_produced != _consumed && (*(ulong*)At(_consumed) & Discarded) != 0)
            {
                Drop();
            }

            if (_produced == _consumed || (*(ulong*)At(_consumed) & Busy) != 0)
            {
                return -1;
            }

            var length = (int)(*(ulong*)At(_consumed) & Length);
            if (buffer.Length < length)
            {
                buffer = new byte[length];
            }

            new ReadOnlySpan<byte>(At(_consumed) + HeaderSize, length).CopyTo(buffer);
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
                Drop();
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

    private byte* Take(ulong size)
    {
        RequireLive();
        var taken = (size + HeaderSize + 7) & ~7ul;
        if (size > _mask || _produced + taken - _consumed > _mask)
        {
            Lost++;
            return null;
        }

        var header = At(_produced);
        *(ulong*)header = size | Busy;
        _produced += taken;
        return header + HeaderSize;
    }

    private void Drop() => _consumed += ((*(ulong*)At(_consumed) & Length) + HeaderSize + 7) & ~7ul;
}
