namespace Skep.Packets;

/// <summary>EtherTypes in network byte order, ready to compare (IANA "IEEE 802 Numbers").</summary>
public static class EtherTypes
{
    /// <summary>IPv4.</summary>
    public static NetworkUInt16 IPv4 => NetworkUInt16.From(0x0800);

    /// <summary>IPv6.</summary>
    public static NetworkUInt16 IPv6 => NetworkUInt16.From(0x86DD);

    /// <summary>ARP.</summary>
    public static NetworkUInt16 Arp => NetworkUInt16.From(0x0806);

    /// <summary>VLAN tag (802.1Q).</summary>
    public static NetworkUInt16 Vlan => NetworkUInt16.From(0x8100);

    /// <summary>Service VLAN tag (802.1ad, QinQ).</summary>
    public static NetworkUInt16 ServiceVlan => NetworkUInt16.From(0x88A8);
}
