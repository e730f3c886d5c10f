using System.Buffers.Binary;

namespace Skep.Packets;

/// <summary>One header or payload of a packet under construction.</summary>
internal abstract record PacketLayer
{
    /// <summary>EtherType by which a link header announces the layer, 0 when there is none.</summary>
    public virtual ushort EtherType => 0;

    /// <summary>Number by which an IP header announces the layer.</summary>
    public virtual IpProtocol? Protocol(bool afterIPv6) => null;

    /// <summary>Writes the layer in front of the bytes that follow it.</summary>
    public abstract byte[] Write(byte[] inner, LayerNeighbors neighbors);

    protected static byte[] Concat(ReadOnlySpan<byte> header, byte[] inner)
    {
        var result = new byte[header.Length + inner.Length];
        header.CopyTo(result);
        inner.CopyTo(result, header.Length);
        return result;
    }

    protected static byte[] Pad(byte[] options, int maximum)
    {
        var padded = (options.Length + 3) & ~3;
        if (padded > maximum)
        {
            throw new ArgumentException($"Options take {options.Length} bytes, the header has room for {maximum}.", nameof(options));
        }

        return [.. options, .. new byte[padded - options.Length]];
    }
}

/// <summary>What stands around a layer.</summary>
internal readonly struct LayerNeighbors(PacketLayer[] layers, int index)
{
    public PacketLayer? Next => index + 1 < layers.Length ? layers[index + 1] : null;

    public IpLayer? Enclosing
    {
        get
        {
            for (var i = index - 1; i >= 0; i--)
            {
                if (layers[i] is IpLayer ip)
                {
                    return ip;
                }
            }

            return null;
        }
    }

    public ushort NextEtherType => Next?.EtherType ?? 0;

    public IpProtocol NextProtocol(bool afterIPv6) => Next?.Protocol(afterIPv6) ?? IpProtocol.NoNextHeader;

    public NetworkUInt16 TransportChecksum(IpProtocol protocol, byte[] message)
    {
        var ip = Enclosing ?? throw new InvalidOperationException($"A {protocol} header needs an IP header before it.");
        return InternetChecksum.ComputeTransport(ip.Source, ip.Destination, protocol, message);
    }
}

internal abstract record IpLayer(IpAddress Source, IpAddress Destination) : PacketLayer;

internal sealed record EthernetLayer(MacAddress Source, MacAddress Destination, ushort? Type) : PacketLayer
{
    public override byte[] Write(byte[] inner, LayerNeighbors neighbors)
    {
        var header = new EthernetHeader
        {
            Source = Source,
            Destination = Destination,
            EtherType = NetworkUInt16.From(Type ?? neighbors.NextEtherType),
        };
        return Concat(System.Runtime.InteropServices.MemoryMarshal.AsBytes(new ReadOnlySpan<EthernetHeader>(in header)), inner);
    }
}

internal sealed record VlanLayer(ushort Id, byte Priority, bool Service) : PacketLayer
{
    public override ushort EtherType => Service ? (ushort)0x88A8 : (ushort)0x8100;

    public override byte[] Write(byte[] inner, LayerNeighbors neighbors)
    {
        var header = new byte[4];
        BinaryPrimitives.WriteUInt16BigEndian(header, (ushort)((Priority << 13) | (Id & 0x0FFF)));
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(2), neighbors.NextEtherType);
        return Concat(header, inner);
    }
}

internal sealed record ArpLayer(ushort Operation, IpAddress Sender, IpAddress Target) : PacketLayer
{
    public override ushort EtherType => 0x0806;

    public override byte[] Write(byte[] inner, LayerNeighbors neighbors)
    {
        var header = new ArpHeader
        {
            HardwareType = NetworkUInt16.From(1),
            ProtocolType = EtherTypes.IPv4,
            HardwareLength = MacAddress.Size,
            ProtocolLength = 4,
            Operation = NetworkUInt16.From(Operation),
            SenderMac = MacAddress.Parse("02:00:00:00:00:01"),
            SenderAddress = NetworkUInt32.FromRaw(Sender.RawIPv4),
            TargetAddress = NetworkUInt32.FromRaw(Target.RawIPv4),
        };
        return Concat(System.Runtime.InteropServices.MemoryMarshal.AsBytes(new ReadOnlySpan<ArpHeader>(in header)), inner);
    }
}

internal sealed record PayloadLayer(byte[] Bytes) : PacketLayer
{
    public override byte[] Write(byte[] inner, LayerNeighbors neighbors) => Concat(Bytes, inner);
}
