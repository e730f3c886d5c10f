using System.Buffers.Binary;
using System.Text;
using Skep.Bpf.Twin.Captures;

namespace Skep.Bpf.Tests.Captures;

/// <summary>Builds capture files byte by byte, in either byte order.</summary>
internal sealed class CaptureBytes(bool bigEndian = false)
{
    private readonly MemoryStream _bytes = new();

    public CaptureBytes U16(ushort value)
    {
        Span<byte> bytes = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, bigEndian ? BinaryPrimitives.ReverseEndianness(value) : value);
        _bytes.Write(bytes);
        return this;
    }

    public CaptureBytes U32(uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, bigEndian ? BinaryPrimitives.ReverseEndianness(value) : value);
        _bytes.Write(bytes);
        return this;
    }

    public CaptureBytes U64(ulong value) => bigEndian
        ? U32((uint)(value >> 32)).U32((uint)value)
        : U32((uint)value).U32((uint)(value >> 32));

    public CaptureBytes Raw(params byte[] bytes)
    {
        _bytes.Write(bytes);
        return this;
    }

    public CaptureBytes Pcap(uint magic = 0xA1B2C3D4, uint linkType = 1) => U32(magic).U16(2).U16(4).U32(0).U32(0).U32(65535).U32(linkType);

    public CaptureBytes Packet(uint seconds, uint fraction, byte[] data, uint? original = null) =>
        U32(seconds).U32(fraction).U32((uint)data.Length).U32(original ?? (uint)data.Length).Raw(data);

    /// <summary>A pcapng block around <paramref name="body"/>, padded.</summary>
    public CaptureBytes Block(uint type, Action<CaptureBytes> body)
    {
        var inner = new CaptureBytes(bigEndian);
        body(inner);
        var bytes = inner.ToArray();
        var padding = -bytes.Length & 3;
        var length = (uint)(12 + bytes.Length + padding);
        return U32(type).U32(length).Raw(bytes).Raw(new byte[padding]).U32(length);
    }

    public CaptureBytes Section() => Block(0x0A0D0D0A, b => b.U32(0x1A2B3C4D).U16(1).U16(0).U64(ulong.MaxValue));

    public CaptureBytes Interface(ushort linkType, uint snap = 0, byte? resolution = null) => Block(1, b =>
    {
        b.U16(linkType).U16(0).U32(snap);
        if (resolution is { } value)
        {
            b.U16(2).U16(4).Raw(Encoding.ASCII.GetBytes("eth0")).U16(9).U16(1).Raw(value, 0, 0, 0).U16(0).U16(0);
        }
    });

    public CaptureBytes Enhanced(uint number, ulong ticks, byte[] data, uint? original = null) => Block(6, b =>
        b.U32(number).U32((uint)(ticks >> 32)).U32((uint)ticks).U32((uint)data.Length).U32(original ?? (uint)data.Length).Raw(data));

    public byte[] ToArray() => _bytes.ToArray();

    public CaptureReader Open() => CaptureReader.Open(new MemoryStream(ToArray()));

    public static List<(ulong Timestamp, byte[] Data, uint Original, CaptureLinkType LinkType, uint Interface)> ReadAll(byte[] file)
    {
        using var reader = CaptureReader.Open(new MemoryStream(file));
        var packets = new List<(ulong, byte[], uint, CaptureLinkType, uint)>();
        while (reader.TryRead(out var packet))
        {
            packets.Add((packet.Timestamp, packet.Data.ToArray(), packet.OriginalLength, packet.LinkType, packet.Interface));
        }

        return packets;
    }
}
