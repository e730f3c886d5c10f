using System.Buffers.Binary;

namespace Skep.Bpf.Twin.Captures;

/// <summary>A stream read forwards through one buffer that grows to the largest packet allowed and no further.</summary>
internal sealed class CaptureInput(Stream stream, bool leaveOpen) : IDisposable
{
    /// <summary>Largest packet accepted: four times what tcpdump keeps, and above every super-packet Linux makes.</summary>
    public const int MaxPacket = 1 << 20;

    private byte[] _buffer = new byte[256 * 1024];
    private int _start;
    private int _end;
    private long _bufferOffset;

    /// <summary>Offset of the next byte to be taken.</summary>
    public long Offset => _bufferOffset + _start;

    /// <summary>Whether numbers in the file are big-endian.</summary>
    public bool IsBigEndian { get; set; }

    /// <summary>The next <paramref name="count"/> bytes without taking them; fewer at the end of the file. Valid until the next call.</summary>
    public ReadOnlySpan<byte> Peek(int count)
    {
        if (_end - _start < count)
        {
            Fill(count);
        }

        return _buffer.AsSpan(_start, Math.Min(count, _end - _start));
    }

    /// <summary>Takes the next <paramref name="count"/> bytes; valid until the next call.</summary>
    /// <exception cref="CaptureFormatException">The file ends before.</exception>
    public ReadOnlySpan<byte> Take(int count, string what)
    {
        var bytes = Peek(count);
        if (bytes.Length < count)
        {
            throw new CaptureFormatException(Offset, $"The file ends in the middle of {what}: {count} bytes expected, {bytes.Length} left");
        }

        _start += count;
        return bytes;
    }

    /// <summary>Passes over <paramref name="count"/> bytes, however many, without keeping them.</summary>
    /// <exception cref="CaptureFormatException">The file ends before.</exception>
    public void Skip(long count, string what)
    {
        while (count > 0)
        {
            var step = (int)Math.Min(count, _buffer.Length);
            Take(step, what);
            count -= step;
        }
    }

    public ushort UInt16(ReadOnlySpan<byte> bytes) =>
        IsBigEndian ? BinaryPrimitives.ReadUInt16BigEndian(bytes) : BinaryPrimitives.ReadUInt16LittleEndian(bytes);

    public uint UInt32(ReadOnlySpan<byte> bytes) =>
        IsBigEndian ? BinaryPrimitives.ReadUInt32BigEndian(bytes) : BinaryPrimitives.ReadUInt32LittleEndian(bytes);

    public long Int64(ReadOnlySpan<byte> bytes) =>
        IsBigEndian ? BinaryPrimitives.ReadInt64BigEndian(bytes) : BinaryPrimitives.ReadInt64LittleEndian(bytes);

    public void Dispose()
    {
        if (!leaveOpen)
        {
            stream.Dispose();
        }
    }

    private void Fill(int count)
    {
        if (count > _buffer.Length)
        {
            // Callers ask for at most one packet with its header.
            ArgumentOutOfRangeException.ThrowIfGreaterThan(count, MaxPacket + 64);
            Array.Resize(ref _buffer, MaxPacket + 64);
        }

        _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
        _bufferOffset += _start;
        _end -= _start;
        _start = 0;
        while (_end < count)
        {
            var read = stream.Read(_buffer, _end, _buffer.Length - _end);
            if (read == 0)
            {
                return;
            }

            _end += read;
        }
    }
}
