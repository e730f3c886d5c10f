using System.Buffers.Binary;

namespace Skep.Fuzz;

/// <summary>
/// Makes damaged files out of good ones: bits flipped, numbers bent to what sizes, counts and offsets go wrong at, parts cut out, doubled or
/// taken from another file. The same seed gives the same files in the same order.
/// </summary>
internal sealed class ByteMutator(IReadOnlyList<byte[]> corpus, ulong seed)
{
    private const int LargestFile = 1 << 16;

    private static readonly ulong[] s_interesting =
        [0, 1, 2, 3, 4, 7, 8, 12, 16, 24, 32, 63, 64, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff, ulong.MaxValue];

    private readonly byte[] _buffer = new byte[LargestFile];
    private SplitMix _random = new(seed);
    private int _length;

    /// <summary>The next file.</summary>
    public byte[] Next()
    {
        var start = corpus[_random.Below(corpus.Count)];
        start.CopyTo(_buffer, 0);
        _length = start.Length;
        for (var steps = _random.Below(6) + 1; steps > 0 && _length > 0; steps--)
        {
            Mutate();
        }

        return _buffer[.._length];
    }

    private void Mutate()
    {
        var at = _random.Below(_length);
        switch (_random.Below(10))
        {
            case 0:
                _buffer[at] ^= (byte)(1 << _random.Below(8));
                break;
            case 1:
                _buffer[at] = (byte)_random.Next();
                break;
            case 2 or 3 or 4:
                Put(at & ~3, 4, s_interesting[_random.Below(s_interesting.Length)]);
                break;
            case 5:
                Put(at & ~3, 4, (ulong)_random.Below(_length + 16));
                break;
            case 6:
                Put(at & ~7, 8, s_interesting[_random.Below(s_interesting.Length)]);
                break;
            case 7:
                _length = _random.Below(4) == 0 ? at : _length;
                break;
            case 8:
                Copy(_buffer.AsSpan(at, Math.Min(_random.Below(64) + 1, _length - at)).ToArray());
                break;
            default:
                var other = corpus[_random.Below(corpus.Count)];
                var from = _random.Below(other.Length);
                Copy(other.AsSpan(from, Math.Min(_random.Below(256) + 1, other.Length - from)));
                break;
        }
    }

    private void Put(int at, int size, ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        var room = Math.Min(size, _length - at);
        bytes[..room].CopyTo(_buffer.AsSpan(at));
    }

    /// <summary>Over what is there, or in between.</summary>
    private void Copy(ReadOnlySpan<byte> part)
    {
        var at = _random.Below(_length);
        if (_random.Below(2) == 0 && _length + part.Length <= LargestFile)
        {
            _buffer.AsSpan(at, _length - at).CopyTo(_buffer.AsSpan(at + part.Length));
            _length += part.Length;
        }

        part[..Math.Min(part.Length, _length - at)].CopyTo(_buffer.AsSpan(at));
    }
}
