using System.Buffers.Binary;

namespace Skep.Bpf.Twin.Captures;

/// <summary>pcap with nanoseconds, little-endian; layout at <see cref="PcapReader"/>.</summary>
internal sealed class PcapWriter : CaptureWriter
{
    public PcapWriter(Stream stream)
        : base(stream)
    {
        Span<byte> header = stackalloc byte[24];
        header.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(header, 0xA1B23C4D);
        BinaryPrimitives.WriteUInt16LittleEndian(header[4..], 2);
        BinaryPrimitives.WriteUInt16LittleEndian(header[6..], 4);
        BinaryPrimitives.WriteUInt32LittleEndian(header[16..], Snap);
        BinaryPrimitives.WriteUInt32LittleEndian(header[20..], (uint)CaptureLinkType.Ethernet);
        Put(header);
    }

    private protected override void WritePacket(ulong timestamp, ReadOnlySpan<byte> data, uint originalLength)
    {
        Span<byte> header = stackalloc byte[16];
        BinaryPrimitives.WriteUInt32LittleEndian(header, (uint)Math.Min(timestamp / 1_000_000_000, uint.MaxValue));
        BinaryPrimitives.WriteUInt32LittleEndian(header[4..], (uint)(timestamp % 1_000_000_000));
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], (uint)data.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(header[12..], originalLength);
        Put(header);
        Put(data);
    }
}
