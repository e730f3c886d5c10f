using Skep.Bpf.Maps;

namespace Skep.Bpf.Buffers;

/// <summary>Writes records for programs into a user ring buffer. One writer at a time; nothing is allocated per record.</summary>
/// <typeparam name="T">Record struct.</typeparam>
public sealed class UserRingBufferWriter<T> : IDisposable
    where T : unmanaged
{
    private readonly UserRingBufferTarget _target;

    /// <summary>Writes to <paramref name="ring"/>, which has storage and is not disposed of before the writer.</summary>
    /// <exception cref="InvalidOperationException">The ring has no storage yet.</exception>
    public UserRingBufferWriter(UserRingBuffer<T> ring)
    {
        ArgumentNullException.ThrowIfNull(ring);
        _target = ring.Storage.OpenUserRingBuffer();
    }

    /// <summary>Records written so far.</summary>
    public long Records { get; private set; }

    /// <summary>Records that the ring had no room for.</summary>
    public long Refused { get; private set; }

    /// <summary>Whether all that was written has been read by programs.</summary>
    public bool IsDrained => _target.IsDrained;

    /// <summary>Appends a copy of <paramref name="record"/>; false when the ring is full: nobody waits for a program to run.</summary>
    public bool TryWrite(in T record)
    {
        if (!TryReserve(out var reserved))
        {
            return false;
        }

        reserved.Value = record;
        reserved.Submit();
        return true;
    }

    /// <summary>Appends a record of other bytes than those of <typeparamref name="T"/>; false when the ring is full.</summary>
    public unsafe bool TryWriteBytes(ReadOnlySpan<byte> record)
    {
        var room = Reserve((uint)record.Length);
        if (room is null)
        {
            return false;
        }

        record.CopyTo(new Span<byte>(room, record.Length));
        Give(room, keep: true);
        return true;
    }

    /// <summary>
    /// Room for a record, to be written in place and then submitted or discarded: until then programs see neither it nor what was reserved after it. False when the ring is
    /// full.
    /// </summary>
    public unsafe bool TryReserve(out Reservation record)
    {
        var room = Reserve((uint)sizeof(T));
        record = new Reservation(this, room);
        return room is not null;
    }

    private unsafe byte* Reserve(uint size)
    {
        var room = _target.Reserve(size);
        Refused += room is null ? 1 : 0;
        return room;
    }

    private unsafe void Give(byte* room, bool keep)
    {
        _target.Give(room, keep);
        Records += keep ? 1 : 0;
    }

    /// <summary>Stops writing; what was written stays for programs.</summary>
    public void Dispose() => _target.Dispose();

    /// <summary>A record that was reserved.</summary>
    public unsafe ref struct Reservation
    {
        private readonly UserRingBufferWriter<T> _writer;
        private byte* _room;

        internal Reservation(UserRingBufferWriter<T> writer, byte* room)
        {
            _writer = writer;
            _room = room;
        }

        /// <summary>The record, in the ring itself; whatever was there before.</summary>
        /// <exception cref="InvalidOperationException">It was given away.</exception>
        public readonly ref T Value => ref *(T*)Room;

        private readonly byte* Room => _room is not null ? _room : throw new InvalidOperationException("The record was submitted or discarded, or there was no room for it.");

        /// <summary>Gives the record to programs.</summary>
        /// <exception cref="InvalidOperationException">It was given away.</exception>
        public void Submit() => Give(keep: true);

        /// <summary>Has programs pass over the record.</summary>
        /// <exception cref="InvalidOperationException">It was given away.</exception>
        public void Discard() => Give(keep: false);

        private void Give(bool keep)
        {
            _writer.Give(Room, keep);
            _room = null;
        }
    }
}
