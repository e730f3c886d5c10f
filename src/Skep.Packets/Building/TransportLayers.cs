using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Skep.Packets;

internal sealed record TcpLayer(
    ushort SourcePort, ushort DestinationPort, TcpFlags Flags, uint Sequence, uint Acknowledgment, ushort Window, byte[] Options) : PacketLayer
{
    public override IpProtocol? Protocol(bool afterIPv6) => IpProtocol.Tcp;

    public override byte[] Write(byte[] inner, LayerNeighbors neighbors)
    {
        var options = Pad(Options, 40);
        var header = new byte[20 + options.Length];
        BinaryPrimitives.WriteUInt16BigEndian(header, SourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(2), DestinationPort);
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(4), Sequence);
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(8), Acknowledgment);
        header[12] = (byte)((header.Length / 4) << 4);
        header[13] = (byte)Flags;
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(14), Window);
        options.CopyTo(header, 20);
        var message = Concat(header, inner);
        MemoryMarshal.Write(message.AsSpan(16), neighbors.TransportChecksum(IpProtocol.Tcp, message));
        return message;
    }
}

internal sealed record UdpLayer(ushort SourcePort, ushort DestinationPort, bool WithoutChecksum) : PacketLayer
{
    public override IpProtocol? Protocol(bool afterIPv6) => IpProtocol.Udp;

    public override byte[] Write(byte[] inner, LayerNeighbors neighbors)
    {
        var header = new byte[8];
        BinaryPrimitives.WriteUInt16BigEndian(header, SourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(2), DestinationPort);
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(4), (ushort)(8 + inner.Length));
        var message = Concat(header, inner);
        if (!WithoutChecksum)
        {
            var checksum = neighbors.TransportChecksum(IpProtocol.Udp, message);
            MemoryMarshal.Write(message.AsSpan(6), checksum.Raw == 0 ? NetworkUInt16.FromRaw(0xFFFF) : checksum);
        }

        return message;
    }
}

internal sealed record IcmpLayer(byte Type, byte Code, uint Rest) : PacketLayer
{
    public override IpProtocol? Protocol(bool afterIPv6) => afterIPv6 ? IpProtocol.IcmpV6 : IpProtocol.Icmp;

    public override byte[] Write(byte[] inner, LayerNeighbors neighbors)
    {
        var header = new byte[8];
        header[0] = Type;
        header[1] = Code;
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(4), Rest);
        var message = Concat(header, inner);
        var checksum = neighbors.Enclosing is IPv6Layer
            ? neighbors.TransportChecksum(IpProtocol.IcmpV6, message)
            : InternetChecksum.Compute(message);
        MemoryMarshal.Write(message.AsSpan(2), checksum);
        return message;
    }
}
