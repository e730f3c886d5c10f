using System.Buffers.Binary;

namespace Skep.Bpf.Twin.Captures;

/// <summary>pcapng: one section, one Ethernet interface in nanoseconds, little-endian; layout at <see cref="PcapngReader"/>.</summary>
internal sealed class PcapngWriter : CaptureWriter
{
    public PcapngWriter(Stream stream)
        : base(stream)
    {
        Span<byte> section = stackalloc byte[28];
        section.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(section, PcapngReader.SectionHeader);
        BinaryPrimitives.WriteInt32LittleEndian(section[4..], section.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(section[8..], 0x1A2B3C4D);
        BinaryPrimitives.WriteUInt16LittleEndian(section[12..], 1);
        BinaryPrimitives.WriteInt64LittleEndian(section[16..], -1); // length of the section: not said
        BinaryPrimitives.WriteInt32LittleEndian(section[24..], section.Length);
        Put(section);

        Span<byte> description = stackalloc byte[32];
        description.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(description, 1);
        BinaryPrimitives.WriteInt32LittleEndian(description[4..], description.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(description[8..], (ushort)CaptureLinkType.Ethernet);
        BinaryPrimitives.WriteUInt32LittleEndian(description[12..], Snap);
        BinaryPrimitives.WriteUInt16LittleEndian(description[16..], 9); // if_tsresol, one byte: 10^-9
        BinaryPrimitives.WriteUInt16LittleEndian(description[18..], 1);
        description[20] = 9;
        BinaryPrimitives.WriteInt32LittleEndian(description[28..], description.Length); // after opt_endofopt, four zeros
        Put(description);
    }

    private protected override void WritePacket(ulong timestamp, ReadOnlySpan<byte> data, uint originalLength)
    {
        var padding = -data.Length & 3;
        var length = 32 + data.Length + padding;
        Span<byte> header = stackalloc byte[28];
        BinaryPrimitives.WriteUInt32LittleEndian(header, 6);
        BinaryPrimitives.WriteInt32LittleEndian(header[4..], length);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], 0);
        BinaryPrimitives.WriteUInt32LittleEndian(header[12..], (uint)(timestamp >> 32));
        BinaryPrimitives.WriteUInt32LittleEndian(header[16..], (uint)timestamp);
        BinaryPrimitives.WriteInt32LittleEndian(header[20..], data.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(header[24..], originalLength);
        Put(header);
        Put(data);

        Span<byte> trailer = stackalloc byte[8];
        trailer.Clear();
        BinaryPrimitives.WriteInt32LittleEndian(trailer[padding..], length);
        Put(trailer[..(padding + 4)]);
    }
}
