namespace Skep.Packets;

/// <summary>Protocol numbers of IPv4 and next-header values of IPv6 (IANA "Protocol Numbers").</summary>
public enum IpProtocol : byte
{
    /// <summary>Hop-by-hop options of IPv6.</summary>
    HopByHop = 0,
    /// <summary>ICMP.</summary>
    Icmp = 1,
    /// <summary>IPv4 in IP.</summary>
    IPv4 = 4,
    /// <summary>TCP.</summary>
    Tcp = 6,
    /// <summary>UDP.</summary>
    Udp = 17,
    /// <summary>IPv6 in IP.</summary>
    IPv6 = 41,
    /// <summary>Routing header of IPv6.</summary>
    Routing = 43,
    /// <summary>Fragment header of IPv6.</summary>
    Fragment = 44,
    /// <summary>GRE.</summary>
    Gre = 47,
    /// <summary>Encapsulating security payload.</summary>
    Esp = 50,
    /// <summary>Authentication header.</summary>
    Authentication = 51,
    /// <summary>ICMPv6.</summary>
    IcmpV6 = 58,
    /// <summary>Nothing follows.</summary>
    NoNextHeader = 59,
    /// <summary>Destination options of IPv6.</summary>
    DestinationOptions = 60,
    /// <summary>SCTP.</summary>
    Sctp = 132,
}
