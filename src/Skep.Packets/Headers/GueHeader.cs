using System.Runtime.InteropServices;

namespace Skep.Packets;

/// <summary>
/// Generic UDP Encapsulation, variant 0, 4 bytes (draft-ietf-intarea-gue section 3): variant 2 bits, control 1, length of what follows these four bytes in words of
/// four 5; protocol 8; flags 16. Variant 1 has no header: the payload begins with an IPv4 or IPv6 header, whose version field says so.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct GueHeader
{
    /// <summary>UDP port of the receiver.</summary>
    public const ushort Port = 6080;

    /// <summary>Variant 0, control 0, and the length of options and private data in words.</summary>
    public byte VariantLength;

    /// <summary>What is carried.</summary>
    public IpProtocol Protocol;

    /// <summary>Optional fields; zero for none.</summary>
    public NetworkUInt16 Flags;

    /// <summary>Bytes of options and private data, 0 to 124.</summary>
    public readonly uint ExtraLength => (VariantLength & 31u) << 2;
}
