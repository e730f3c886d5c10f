namespace Skep.Bpf.Twin.Captures;

/// <summary>
/// The classic format (draft-ietf-opsawg-pcap).
/// <code>
/// file    magic 4 | major 2 | minor 2 | reserved 8 | snaplen 4 | link type 2, flags 2 (as one 32-bit number)
/// packet  seconds 4 | micro- or nanoseconds 4 | captured length 4 | original length 4 | bytes
/// </code>
/// </summary>
internal sealed class PcapReader : CaptureReader
{
    private const int FileHeader = 24;
    private const int PacketHeader = 16;

    private readonly CaptureLinkType _linkType;
    private readonly uint _nanosecondsPerUnit;

    public PcapReader(CaptureInput input, bool isBigEndian, uint nanosecondsPerUnit)
        : base(input)
    {
        input.IsBigEndian = isBigEndian;
        _nanosecondsPerUnit = nanosecondsPerUnit;
        var header = input.Take(FileHeader, "the file header");
        var major = input.UInt16(header[4..]);
        if (major != 2)
        {
            throw new CaptureFormatException(4, $"pcap version {major} is not known; 2 is");
        }

        _linkType = (CaptureLinkType)(input.UInt32(header[20..]) & 0xFFFF);
    }

    public override string Format => "pcap";

    public override bool TryRead(out CapturedPacket packet)
    {
        var at = Input.Offset;
        if (Input.Peek(1).IsEmpty)
        {
            packet = default;
            return false;
        }

        var header = Input.Take(PacketHeader, "a packet header");
        var seconds = Input.UInt32(header);
        var fraction = Input.UInt32(header[4..]);
        var captured = Input.UInt32(header[8..]);
        var original = Input.UInt32(header[12..]);
        if (captured > CaptureInput.MaxPacket)
        {
            throw new CaptureFormatException(at + 8, $"A packet of {captured} captured bytes is not believable; {CaptureInput.MaxPacket} is the limit");
        }

        packet = new CapturedPacket
        {
            Timestamp = (seconds * 1_000_000_000ul) + (fraction * (ulong)_nanosecondsPerUnit),
            Data = Input.Take((int)captured, "a packet"),
            OriginalLength = original,
            LinkType = _linkType,
        };
        return true;
    }
}
