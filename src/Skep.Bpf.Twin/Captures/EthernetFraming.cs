using System.Buffers.Binary;

namespace Skep.Bpf.Twin.Captures;

/// <summary>
/// Packets as programs on an interface see them: with an Ethernet header. Captures of other link types have theirs replaced:
/// destination 0, source as far as the capture knows it, EtherType of what follows.
/// </summary>
internal static class EthernetFraming
{
    public const int HeaderSize = 14;

    private const ushort Ipv4 = 0x0800, Ipv6 = 0x86DD, Unknown = 0;

    /// <summary>
    /// The Ethernet header for a packet of another link type, written to <paramref name="header"/>, and how many bytes of the packet it replaces.
    /// False when the link type is not known, or the packet is too short to tell.
    /// </summary>
    public static bool TryReplace(CaptureLinkType linkType, ReadOnlySpan<byte> data, Span<byte> header, out int replaced)
    {
        header[..HeaderSize].Clear();
        var type = linkType switch
        {
            CaptureLinkType.RawIp => VersionOf(data),
            CaptureLinkType.Ipv4 => Ipv4,
            CaptureLinkType.Ipv6 => Ipv6,
            CaptureLinkType.Null or CaptureLinkType.Loop when data.Length >= 4 => FamilyOf(data),
            CaptureLinkType.LinuxSll when data.Length >= 16 => BinaryPrimitives.ReadUInt16BigEndian(data[14..]),
            CaptureLinkType.LinuxSll2 when data.Length >= 20 => BinaryPrimitives.ReadUInt16BigEndian(data),
            _ => Unknown,
        };
        replaced = linkType switch
        {
            CaptureLinkType.Null or CaptureLinkType.Loop => 4,
            CaptureLinkType.LinuxSll => 16,
            CaptureLinkType.LinuxSll2 => 20,
            _ => 0,
        };
        if (type == Unknown || data.Length < replaced)
        {
            return false;
        }

        // Cooked headers hold the sender's address, eight bytes of which the length says how many count.
        var address = linkType switch
        {
            CaptureLinkType.LinuxSll when BinaryPrimitives.ReadUInt16BigEndian(data[4..]) == 6 => data.Slice(6, 6),
            CaptureLinkType.LinuxSll2 when data[11] == 6 => data.Slice(12, 6),
            _ => default,
        };
        address.CopyTo(header[6..]);
        BinaryPrimitives.WriteUInt16BigEndian(header[12..], type);
        return true;
    }

    private static ushort VersionOf(ReadOnlySpan<byte> data) => data.IsEmpty ? Unknown : (data[0] >> 4) switch
    {
        4 => Ipv4,
        6 => Ipv6,
        _ => Unknown,
    };

    /// <summary>Address families differ between systems and come in either byte order; both orders are small numbers only one way round.</summary>
    private static ushort FamilyOf(ReadOnlySpan<byte> data)
    {
        var family = BinaryPrimitives.ReadUInt32LittleEndian(data);
        if (family > 0xFFFF)
        {
            family = BinaryPrimitives.ReverseEndianness(family);
        }

        return family switch
        {
            2 => Ipv4,
            10 or 24 or 28 or 30 => Ipv6, // Linux; NetBSD and OpenBSD; FreeBSD; macOS
            _ => Unknown,
        };
    }
}
