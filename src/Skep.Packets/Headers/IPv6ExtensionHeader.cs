using System.Runtime.InteropServices;

namespace Skep.Packets;

/// <summary>First bytes of an IPv6 extension header (RFC 8200 section 4; RFC 4302 for authentication).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct IPv6ExtensionHeader
{
    /// <summary>What follows the extension header.</summary>
    public IpProtocol NextHeader;

    /// <summary>Length: 8-byte units beyond the first for options and routing, 4-byte units minus 2 for authentication.</summary>
    public byte Length;

    // Bit n is set when next-header value n, below 64, is an extension header that a parser can skip.
    private const ulong Skippable = (1UL << 0) | (1UL << 43) | (1UL << 44) | (1UL << 51) | (1UL << 60);

    /// <summary>Whether <paramref name="protocol"/> is hop-by-hop, routing, fragment, authentication or destination options.</summary>
    public static bool IsExtension(IpProtocol protocol) => ((Skippable >> (int)protocol) & ((((ulong)protocol >> 6) - 1) >> 63)) != 0;

    /// <summary>Bytes of the extension header of kind <paramref name="protocol"/>: 8 to 2048. Without branches, see <see cref="AllBitsIf"/>.</summary>
    public readonly uint SizeAs(IpProtocol protocol)
    {
        // Units of 8 bytes beyond the first 8, units of 4 for authentication; that of fragments has no length.
        var units = Length & ~AllBitsIf(protocol, IpProtocol.Fragment);
        return 8 + ((units << 3) >> (int)((((uint)protocol ^ (uint)IpProtocol.Authentication) - 1) >> 31));
    }

    /// <summary>All bits set when the protocols are the same, else none: a branch would make the verifier walk all that follows once more.</summary>
    internal static uint AllBitsIf(IpProtocol protocol, IpProtocol other) => (uint)((int)(((uint)protocol ^ (uint)other) - 1) >> 31);
}

/// <summary>IPv6 fragment header, 8 bytes: next header 1, reserved 1, offset and more-flag 2, identification 4.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct IPv6FragmentHeader
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 8;

    /// <summary>What follows in the unfragmented packet.</summary>
    public IpProtocol NextHeader;

    /// <summary>Zero.</summary>
    public byte Reserved;

    /// <summary>Offset in units of 8 bytes 13 bits, reserved 2, more fragments 1.</summary>
    public NetworkUInt16 OffsetFlags;

    /// <summary>Fragments of one packet share it.</summary>
    public NetworkUInt32 Identification;

    /// <summary>Which part of the packet this is; an atomic fragment (RFC 6946) is <see cref="FragmentKind.None"/>.</summary>
    public readonly FragmentKind Fragment
    {
        get
        {
            // Raw order: the low byte is the first on the wire. None, First and Later are 0, 1 and 2: one for anything set, one more for any bit of the offset.
            var flags = (uint)OffsetFlags.Raw;
            return (FragmentKind)(((0 - (flags & 0xF9FF)) >> 31) + ((0 - (flags & 0xF8FF)) >> 31));
        }
    }
}
