using Skep.Bpf.Buffers;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Twin.Maps;

/// <summary>
/// User ring buffer (<c>kernel/bpf/ringbuf.c</c>, __bpf_user_ringbuf_peek): the process writes, programs take out. A record takes 8 bytes more than its size, rounded up to 8; all of the ring
/// can be filled. Records stand in one piece, as in the kernel's double mapping.
/// </summary>
internal sealed unsafe class TwinUserRingStorage : TwinMapStorage
{
    private readonly PinnedMemory _memory;
    private ulong _produced;
    private ulong _consumed;

    public TwinUserRingStorage(BpfMap map, TwinEnvironment environment, Lock gate)
        : base(map, environment, gate) => _memory = new PinnedMemory(2ul * MaxEntries);

    /// <summary>Bytes waiting, with headers.</summary>
    public override uint Count => (uint)(_produced - _consumed);

    public override int PeekRecord(out byte* record, out uint size)
    {
        RequireLive();
        record = null;
        size = 0;
        if (_produced == _consumed)
        {
            return UserRing.NoData;
        }

        var header = *(uint*)At(_consumed);
        size = header & UserRecord.Length;
        record = At(_consumed) + UserRecord.HeaderSize;
        return (header & UserRecord.Busy) != 0 ? UserRing.NoData : (header & UserRecord.Discarded) != 0 ? -Errno.TryAgain : 0;
    }

    public override void ReleaseRecord()
    {
        RequireLive();
        _consumed += UserRecord.Taken(*(uint*)At(_consumed) & UserRecord.Length);
    }

    public override UserRingBufferTarget OpenUserRingBuffer()
    {
        lock (Gate)
        {
            RequireLive();
            return new Target(this);
        }
    }

    public override byte* Find(byte* key) => null;

    public override int Update(byte* key, byte* value, ulong mode) => -NoSuchOperation;

    public override int Delete(byte* key) => -NoSuchOperation;

    public override void Dispose() => IsDisposed = true;

    private protected override int ReadEntry(byte* key, byte* value) => -NoSuchOperation;

    private protected override int WriteEntry(byte* key, byte* value, ulong mode) => -NoSuchOperation;

    private protected override int NextEntry(byte* key, byte* next) => -NoSuchOperation;

    private protected override int ReadEntries(ref ulong cursor, byte* keys, byte* values, int capacity, out bool done)
    {
        done = true;
        return -NoSuchOperation;
    }

    private byte* At(ulong position) => _memory.Address + (position & (MaxEntries - 1));

    /// <summary>The process's side; it waits for the program that runs.</summary>
    private sealed class Target(TwinUserRingStorage ring) : UserRingBufferTarget
    {
        public override bool IsDrained
        {
            get
            {
                lock (ring.Gate)
                {
                    return ring._produced == ring._consumed;
                }
            }
        }

        public override byte* Reserve(uint size)
        {
            lock (ring.Gate)
            {
                ring.RequireLive();
                var taken = UserRecord.Taken(size);
                if (size > UserRecord.Length || ring._produced + taken - ring._consumed > ring.MaxEntries)
                {
                    return null;
                }

                var header = ring.At(ring._produced);
                *(ulong*)header = size | UserRecord.Busy;
                ring._produced += taken;
                return header + UserRecord.HeaderSize;
            }
        }

        public override void Give(byte* record, bool keep)
        {
            lock (ring.Gate)
            {
                ring.RequireLive();
                UserRecord.Give(record, keep);
            }
        }

        public override void Dispose()
        {
            // The ring belongs to the map.
        }
    }
}
