namespace Skep.Bpf.Twin.Captures;

/// <summary>What a captured packet begins with (<c>LINKTYPE_*</c>, tcpdump.org/linktypes.html). Values not named here are kept as they are.</summary>
public enum CaptureLinkType : ushort
{
    /// <summary>BSD loopback: four bytes of address family in the byte order of the machine that captured.</summary>
    Null = 0,
    /// <summary>Ethernet header.</summary>
    Ethernet = 1,
    /// <summary>IPv4 or IPv6 header.</summary>
    RawIp = 101,
    /// <summary>OpenBSD loopback: four bytes of address family in network byte order.</summary>
    Loop = 108,
    /// <summary>Linux "cooked" capture, 16 bytes (<c>tcpdump -i any</c> of old).</summary>
    LinuxSll = 113,
    /// <summary>IPv4 header.</summary>
    Ipv4 = 228,
    /// <summary>IPv6 header.</summary>
    Ipv6 = 229,
    /// <summary>Linux "cooked" capture version 2, 20 bytes (<c>tcpdump -i any</c>).</summary>
    LinuxSll2 = 276,
}
