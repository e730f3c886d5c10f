using System.Runtime.InteropServices;

namespace Skep.Packets;

/// <summary>
/// Geneve header without options, 8 bytes (RFC 8926 section 3.4): version 2 bits and length of the options in words of four 6, control 1 bit and critical 1 and
/// reserved 6, EtherType 2, virtual network 3, reserved 1.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct GeneveHeader
{
    /// <summary>UDP port of the receiver.</summary>
    public const ushort Port = 6081;

    /// <summary>Version 0, and the length of the options in words.</summary>
    public byte VersionLength;

    /// <summary>0x80 for control messages, 0x40 when an option must be understood.</summary>
    public byte Flags;

    /// <summary>What is carried, by its EtherType.</summary>
    public NetworkUInt16 Protocol;

    /// <summary>Virtual network 3 bytes, reserved 1.</summary>
    public NetworkUInt32 Network;

    /// <summary>Bytes of options, 0 to 252.</summary>
    public readonly uint OptionsLength => (VersionLength & 63u) << 2;
}

/// <summary>Beginning of a Geneve option, 4 bytes (RFC 8926 section 3.5): class 2, type 1, length of the data in words 1.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct GeneveOption
{
    /// <summary>Who defines the type.</summary>
    public NetworkUInt16 Class;

    /// <summary>Type within the class; the highest bit marks options that must be understood.</summary>
    public byte Type;

    /// <summary>Length of the data in words, in the lower five bits.</summary>
    public byte Length;
}
