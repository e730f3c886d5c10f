using System.Numerics;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Twin.Maps;

/// <summary>
/// Bloom filter as large as the kernel's (<c>kernel/bpf/bloom_filter.c</c>: a bit per hash function and value, times 7/5, rounded up to a power
/// of two), with a hash of its own: other values collide.
/// </summary>
internal sealed unsafe class TwinBloomStorage : TwinMapStorage
{
    private readonly ulong[] _bits;
    private readonly ulong _mask;
    private readonly int _hashes;

    public TwinBloomStorage(BpfMap map, int hashes, TwinEnvironment environment, Lock gate)
        : base(map, environment, gate)
    {
        _hashes = hashes;
        var bits = BitOperations.RoundUpToPowerOf2(Math.Max(64, (ulong)MaxEntries * (uint)hashes / 5 * 7));
        _bits = new ulong[bits / 64];
        _mask = bits - 1;
    }

    /// <summary>Always 0: a filter does not know how many values it has seen.</summary>
    public override uint Count => 0;

    /// <inheritdoc/>
    public override int Push(byte* value, ulong flags)
    {
        RequireLive();
        if (flags != (ulong)UpdateMode.Any)
        {
            return -Errno.Invalid;
        }

        var (position, step) = Hash(value);
        for (var i = 0; i < _hashes; i++, position += step)
        {
            _bits[(position & _mask) / 64] |= 1ul << (int)(position & 63);
        }

        return 0;
    }

    /// <inheritdoc/>
    public override int Peek(byte* value)
    {
        RequireLive();
        var (position, step) = Hash(value);
        for (var i = 0; i < _hashes; i++, position += step)
        {
            if ((_bits[(position & _mask) / 64] & (1ul << (int)(position & 63))) == 0)
            {
                return -Errno.NoEntry;
            }
        }

        return 0;
    }

    /// <inheritdoc/>
    public override int Pop(byte* value) => -Errno.NotSupported;

    /// <inheritdoc/>
    public override byte* Find(byte* key) => null;

    /// <inheritdoc/>
    public override int Update(byte* key, byte* value, ulong mode) => -Errno.Invalid;

    /// <inheritdoc/>
    public override int Delete(byte* key) => -Errno.NotSupported;

    /// <inheritdoc/>
    public override void Dispose()
    {
        lock (Gate)
        {
            IsDisposed = true;
        }
    }

    private protected override int ReadEntry(byte* key, byte* value) => Peek(value);

    private protected override int TakeEntry(byte* key, byte* value) => -Errno.NotSupported;

    private protected override int WriteEntry(byte* key, byte* value, ulong mode) => Push(value, mode);

    private protected override int NextEntry(byte* key, byte* next) => -Errno.NotSupported;

    private protected override int ReadEntries(ref ulong cursor, byte* keys, byte* values, int capacity, out bool done)
    {
        done = true;
        return -NoSuchOperation;
    }

    // Two halves of one mix make as many functions as wanted (Kirsch and Mitzenmacher 2006); the step is odd, so that it visits all bits.
    private (ulong Position, ulong Step) Hash(byte* value)
    {
        var hash = 0xcbf29ce484222325ul;
        for (var i = 0; i < ValueSize; i++)
        {
            hash = (hash ^ value[i]) * 0x100000001b3;
        }

        hash = (hash ^ (hash >> 32)) * 0x9E3779B97F4A7C15;
        hash ^= hash >> 29;
        return (hash, BitOperations.RotateLeft(hash, 32) | 1);
    }
}
