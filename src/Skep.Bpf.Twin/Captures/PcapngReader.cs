using System.Buffers.Binary;

namespace Skep.Bpf.Twin.Captures;

/// <summary>
/// pcapng (draft-ietf-opsawg-pcapng): blocks of
/// <code>type 4 | length of the whole block 4 | body, padded to 4 | length again 4</code>
/// A section header sets the byte order and forgets the interfaces before it. Blocks that are no packets are passed over.
/// </summary>
internal sealed class PcapngReader(CaptureInput input) : CaptureReader(input)
{
    public const uint SectionHeader = 0x0A0D0D0A;

    private const uint InterfaceDescription = 1, ObsoletePacket = 2, SimplePacket = 3, EnhancedPacket = 6;
    private const uint ByteOrderMagic = 0x1A2B3C4D;
    private const ushort OptionEnd = 0, OptionTimestampResolution = 9, OptionTimestampOffset = 14;
    private const int MaxInterfaces = 1 << 16;

    private readonly List<CaptureInterface> _interfaces = [];

    /// <summary>Padding and trailer after the packet handed out last, to be taken before the next block.</summary>
    private long _rest;
    private long _blockStart;
    private uint _blockLength;

    public override string Format => "pcapng";

    public override bool TryRead(out CapturedPacket packet)
    {
        if (_rest > 0)
        {
            EndBlock();
        }

        while (true)
        {
            _blockStart = Input.Offset;
            if (Input.Peek(1).IsEmpty)
            {
                packet = default;
                return false;
            }

            var header = Input.Peek(12);
            if (header.Length < 12)
            {
                throw new CaptureFormatException(_blockStart, $"The file ends in the middle of a block header: 12 bytes expected, {header.Length} left");
            }

            var type = Input.UInt32(header);
            if (type == SectionHeader)
            {
                SetByteOrder(header[8..]);
            }

            _blockLength = Input.UInt32(header[4..]);
            if (_blockLength < 12 || _blockLength % 4 != 0)
            {
                throw new CaptureFormatException(_blockStart + 4, $"A block of {_blockLength} bytes: blocks are multiples of 4, at least 12");
            }

            Input.Take(8, "a block header");
            _rest = _blockLength - 8;
            switch (type)
            {
                case SectionHeader:
                    BeginSection();
                    break;
                case InterfaceDescription:
                    ReadInterface();
                    break;
                case EnhancedPacket:
                    packet = ReadPacket(hasDropCount: false);
                    return true;
                case ObsoletePacket:
                    packet = ReadPacket(hasDropCount: true);
                    return true;
                case SimplePacket:
                    packet = ReadSimplePacket();
                    return true;
            }

            EndBlock();
        }
    }

    private void SetByteOrder(ReadOnlySpan<byte> magic)
    {
        Input.IsBigEndian = BinaryPrimitives.ReadUInt32LittleEndian(magic) switch
        {
            ByteOrderMagic => false,
            0x4D3C2B1A => true,
            var other => throw new CaptureFormatException(_blockStart + 8, $"0x{other:x8} is no byte-order magic of a section header"),
        };
    }

    private void BeginSection()
    {
        var body = TakeBody(16, "a section header");
        var major = Input.UInt16(body[4..]);
        if (major != 1)
        {
            throw new CaptureFormatException(_blockStart + 12, $"pcapng version {major} is not known; 1 is");
        }

        _interfaces.Clear();
    }

    private void ReadInterface()
    {
        var body = TakeBody(8, "an interface description");
        var description = new CaptureInterface((CaptureLinkType)Input.UInt16(body), Input.UInt32(body[4..]));
        while (_rest - 4 >= 4)
        {
            var option = TakeBody(4, "an option");
            var code = Input.UInt16(option);
            var length = Input.UInt16(option[2..]);
            if (code == OptionEnd)
            {
                break;
            }

            var padded = (length + 3) & ~3;
            if (padded > _rest - 4)
            {
                throw new CaptureFormatException(Input.Offset - 4, $"An option of {length} bytes does not fit its block");
            }

            var value = TakeBody(padded, "an option");
            if (code == OptionTimestampResolution && length >= 1)
            {
                description.SetResolution(value[0], Input.Offset - padded);
            }
            else if (code == OptionTimestampOffset && length >= 8)
            {
                description.OffsetSeconds = Input.Int64(value);
            }
        }

        if (_interfaces.Count == MaxInterfaces)
        {
            throw new CaptureFormatException(_blockStart, $"More than {MaxInterfaces} interfaces in one section");
        }

        _interfaces.Add(description);
    }

    private CapturedPacket ReadPacket(bool hasDropCount)
    {
        var body = TakeBody(20, "a packet block");
        var number = hasDropCount ? Input.UInt16(body) : Input.UInt32(body);
        var source = Interface(number);
        var ticks = ((ulong)Input.UInt32(body[4..]) << 32) | Input.UInt32(body[8..]);
        var captured = Input.UInt32(body[12..]);
        var original = Input.UInt32(body[16..]);
        return new CapturedPacket
        {
            Timestamp = source.Nanoseconds(ticks),
            Data = TakePacket(captured, _blockStart + 20),
            OriginalLength = original,
            LinkType = source.LinkType,
            Interface = number,
        };
    }

    private CapturedPacket ReadSimplePacket()
    {
        var original = Input.UInt32(TakeBody(4, "a simple packet block"));
        var source = Interface(0);
        var captured = (uint)Math.Min(original, Math.Max(_rest - 4, 0));
        if (source.SnapLength != 0)
        {
            captured = Math.Min(captured, source.SnapLength);
        }

        return new CapturedPacket
        {
            Data = TakePacket(captured, _blockStart + 8),
            OriginalLength = original,
            LinkType = source.LinkType,
        };
    }

    private CaptureInterface Interface(uint number) => number < (uint)_interfaces.Count
        ? _interfaces[(int)number]
        : throw new CaptureFormatException(_blockStart + 8, $"A packet of interface {number}, of {_interfaces.Count} described");

    private ReadOnlySpan<byte> TakePacket(uint captured, long at)
    {
        if (captured > CaptureInput.MaxPacket)
        {
            throw new CaptureFormatException(at, $"A packet of {captured} captured bytes is not believable; {CaptureInput.MaxPacket} is the limit");
        }

        if (captured > _rest - 4)
        {
            throw new CaptureFormatException(at, $"A packet of {captured} captured bytes does not fit its block of {_blockLength}");
        }

        return TakeBody((int)captured, "a packet");
    }

    private ReadOnlySpan<byte> TakeBody(int count, string what)
    {
        if (count > _rest - 4)
        {
            throw new CaptureFormatException(_blockStart + 4, $"A block of {_blockLength} bytes is too short for {what}");
        }

        _rest -= count;
        return Input.Take(count, what);
    }

    /// <summary>Passes over what is left of the block, and checks the length that closes it.</summary>
    private void EndBlock()
    {
        Input.Skip(_rest - 4, "a block");
        var closing = Input.UInt32(Input.Take(4, "the end of a block"));
        _rest = 0;
        if (closing != _blockLength)
        {
            throw new CaptureFormatException(Input.Offset - 4, $"A block that opens with length {_blockLength} closes with {closing}");
        }
    }
}
