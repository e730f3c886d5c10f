using System.Buffers.Binary;

namespace Skep.Fuzz;

/// <summary>
/// Makes packets out of the corpus: as they are, with other ports and addresses, cut, stretched, with bits flipped, lengths bent, headers put in
/// between, or two packets joined. The same seed gives the same packets in the same order.
/// </summary>
public sealed class PacketMutator(IReadOnlyList<NamedPacket> corpus, ulong seed)
{
    /// <summary>Shortest packet made: what a kernel accepts in a test run.</summary>
    public const int MinLength = 14;

    /// <summary>Longest packet made: within one page, which is what a kernel accepts in a test run.</summary>
    public const int MaxLength = 3000;

    // Fields whose value says how much follows: IPv4 header and total length, fragment; IPv6 payload length, next header; TCP and UDP lengths.
    private static readonly byte[] s_lengthFields = [12, 13, 14, 16, 17, 18, 19, 20, 21, 23, 38, 39, 46, 47, 54, 55, 58, 59, 66];
    private static readonly byte[] s_interesting = [0, 1, 4, 5, 6, 8, 15, 16, 17, 20, 40, 43, 44, 45, 50, 51, 58, 59, 60, 63, 64, 0x45, 0x4F, 0x60, 0x7F, 0x80, 0xF0, 0xFF];
    private static readonly byte[] s_extensions = [0, 43, 44, 51, 60, 50, 59, 135, 139, 140];

    private readonly byte[] _buffer = new byte[MaxLength + 512];
    private SplitMix _random = new(seed);
    private int _length;

    /// <summary>The next packet, valid until the one after it.</summary>
    public ReadOnlySpan<byte> Next()
    {
        var start = corpus[_random.Below(corpus.Count)].Bytes;
        start.CopyTo(_buffer, 0);
        _length = start.Length;
        if (_random.Below(2) == 0)
        {
            OtherEnds();
        }

        // A third stays well-formed, so that connections are made and state builds up.
        for (var steps = Math.Max(0, _random.Below(6) - 2); steps > 0; steps--)
        {
            Mutate();
        }

        _length = Math.Clamp(_length, MinLength, MaxLength);
        return _buffer.AsSpan(0, _length);
    }

    private void Mutate()
    {
        switch (_random.Below(9))
        {
            case 0:
                _length = _random.Below(_length + 1);
                break;
            case 1:
                Stretch(_random.Below(64) + 1);
                break;
            case 2:
                _buffer[_random.Below(Math.Max(_length, 1))] ^= (byte)(1 << _random.Below(8));
                break;
            case 3:
                _buffer[_random.Below(Math.Max(_length, 1))] = s_interesting[_random.Below(s_interesting.Length)];
                break;
            case 4:
                _buffer[s_lengthFields[_random.Below(s_lengthFields.Length)]] = s_interesting[_random.Below(s_interesting.Length)];
                break;
            case 5:
                BendLength();
                break;
            case 6:
                Splice();
                break;
            case 7:
                InsertExtensions();
                break;
            default:
                InsertTag();
                break;
        }
    }

    /// <summary>Other clients, a few hundred: enough to meet again, and to be on the block list at times.</summary>
    private void OtherEnds()
    {
        if (_length >= 38 && _buffer[12] == 8 && _buffer[13] == 0)
        {
            _buffer[29] = (byte)_random.Below(256);
            _buffer[35] = (byte)_random.Below(4);
        }
        else if (_length >= 58 && _buffer[12] == 0x86)
        {
            _buffer[37] = (byte)_random.Below(256);
            _buffer[55] = (byte)_random.Below(4);
        }
    }

    private void Stretch(int bytes)
    {
        bytes = Math.Min(bytes, MaxLength - _length);
        for (var i = 0; i < bytes; i++)
        {
            _buffer[_length++] = (byte)_random.Next();
        }
    }

    private void BendLength()
    {
        var offset = 16 + _random.Below(48);
        var value = _random.Below(4) switch
        {
            0 => (ushort)_length,
            1 => (ushort)(_length - 14 + _random.Below(3) - 1),
            2 => ushort.MaxValue,
            _ => (ushort)_random.Next(),
        };
        BinaryPrimitives.WriteUInt16BigEndian(_buffer.AsSpan(offset), value);
    }

    private void Splice()
    {
        var other = corpus[_random.Below(corpus.Count)].Bytes;
        var from = _random.Below(other.Length);
        var at = Math.Min(_random.Below(_length + 1), MaxLength);
        var tail = other.AsSpan(from, Math.Min(other.Length - from, MaxLength - at));
        tail.CopyTo(_buffer.AsSpan(at));
        _length = at + tail.Length;
    }

    private void InsertExtensions()
    {
        if (_length < 54 || _buffer[12] != 0x86 || _buffer[13] != 0xDD)
        {
            return;
        }

        for (var count = _random.Below(8) + 1; count > 0 && _length + 8 <= MaxLength; count--)
        {
            _buffer.AsSpan(54, _length - 54).CopyTo(_buffer.AsSpan(62));
            var header = _buffer.AsSpan(54, 8);
            header.Clear();
            header[0] = _buffer[20];
            header[1] = (byte)(_random.Below(8) == 0 ? _random.Below(256) : 0);
            header[3] = (byte)(_random.Below(4) == 0 ? _random.Below(256) : 0);
            _buffer[20] = s_extensions[_random.Below(s_extensions.Length)];
            _length += 8;
        }
    }

    private void InsertTag()
    {
        if (_length < 14 || _length + 4 > MaxLength)
        {
            return;
        }

        _buffer.AsSpan(12, _length - 12).CopyTo(_buffer.AsSpan(16));
        BinaryPrimitives.WriteUInt16BigEndian(_buffer.AsSpan(12), _random.Below(2) == 0 ? (ushort)0x8100 : (ushort)0x88A8);
        BinaryPrimitives.WriteUInt16BigEndian(_buffer.AsSpan(14), (ushort)_random.Below(4096));
        _length += 4;
    }
}
