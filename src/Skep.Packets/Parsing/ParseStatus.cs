namespace Skep.Packets;

/// <summary>What became of reading a frame's link and network headers.</summary>
public enum ParseStatus : byte
{
    /// <summary>IPv4 or IPv6, headers consistent.</summary>
    Ip,
    /// <summary>Another EtherType, ARP among them.</summary>
    NotIp,
    /// <summary>The frame ends within a header.</summary>
    Truncated,
    /// <summary>A field contradicts the protocol: wrong version, IPv4 header shorter than 20 bytes, mapped IPv4 address in an IPv6 header, more than six extension headers, more than two VLAN tags.</summary>
    Malformed,
}
