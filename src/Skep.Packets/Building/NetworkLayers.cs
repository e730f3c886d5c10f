using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Skep.Packets;

internal sealed record IPv4Layer(
    IpAddress Source,
    IpAddress Destination,
    byte TimeToLive,
    ushort Identification,
    int FragmentOffset,
    bool MoreFragments,
    byte[] Options,
    IpProtocol? FixedProtocol) : IpLayer(Source, Destination)
{
    public override ushort EtherType => 0x0800;

    public override IpProtocol? Protocol(bool afterIPv6) => IpProtocol.IPv4;

    public override byte[] Write(byte[] inner, LayerNeighbors neighbors)
    {
        var options = Pad(Options, 40);
        var header = new byte[20 + options.Length];
        header[0] = (byte)(0x40 | (header.Length / 4));
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(2), (ushort)(header.Length + inner.Length));
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(4), Identification);
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(6), (ushort)((FragmentOffset / 8) | (MoreFragments ? 0x2000 : 0)));
        header[8] = TimeToLive;
        header[9] = (byte)(FixedProtocol ?? neighbors.NextProtocol(afterIPv6: false));
        MemoryMarshal.Write(header.AsSpan(12), Source.RawIPv4);
        MemoryMarshal.Write(header.AsSpan(16), Destination.RawIPv4);
        options.CopyTo(header, 20);
        MemoryMarshal.Write(header.AsSpan(10), InternetChecksum.Compute(header));
        return Concat(header, inner);
    }
}

internal sealed record IPv6Layer(IpAddress Source, IpAddress Destination, byte HopLimit, IpProtocol? FixedNext) : IpLayer(Source, Destination)
{
    public override ushort EtherType => 0x86DD;

    public override IpProtocol? Protocol(bool afterIPv6) => IpProtocol.IPv6;

    public override byte[] Write(byte[] inner, LayerNeighbors neighbors)
    {
        var header = new byte[40];
        header[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(4), (ushort)inner.Length);
        header[6] = (byte)(FixedNext ?? neighbors.NextProtocol(afterIPv6: true));
        header[7] = HopLimit;
        Source.WriteBytes(header.AsSpan(8));
        Destination.WriteBytes(header.AsSpan(24));
        return Concat(header, inner);
    }
}

internal sealed record ExtensionLayer(IpProtocol Kind, int Bytes, IpProtocol? FixedNext) : PacketLayer
{
    public override IpProtocol? Protocol(bool afterIPv6) => Kind;

    public override byte[] Write(byte[] inner, LayerNeighbors neighbors)
    {
        var header = new byte[Bytes];
        header[0] = (byte)(FixedNext ?? neighbors.NextProtocol(afterIPv6: true));
        header[1] = (byte)(Kind == IpProtocol.Authentication ? (Bytes / 4) - 2 : (Bytes / 8) - 1);
        return Concat(header, inner);
    }
}

internal sealed record FragmentLayer(uint Identification, int Offset, bool MoreFragments, IpProtocol? FixedNext) : PacketLayer
{
    public override IpProtocol? Protocol(bool afterIPv6) => IpProtocol.Fragment;

    public override byte[] Write(byte[] inner, LayerNeighbors neighbors)
    {
        var header = new byte[IPv6FragmentHeader.Size];
        header[0] = (byte)(FixedNext ?? neighbors.NextProtocol(afterIPv6: true));
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(2), (ushort)((Offset & 0xFFF8) | (MoreFragments ? 1 : 0)));
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(4), Identification);
        return Concat(header, inner);
    }
}
