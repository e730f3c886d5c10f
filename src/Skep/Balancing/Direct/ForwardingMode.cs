namespace Skep.Balancing;

/// <summary>How packets of a service reach its backends.</summary>
public enum ForwardingMode : byte
{
    /// <summary>Addresses and ports are rewritten in both directions; backends answer through the balancing host.</summary>
    Nat,
    /// <summary>Direct return: the packet travels unchanged in another IP packet (RFC 2003, RFC 2473, RFC 4213), the backend answers the client itself.</summary>
    IpIp,
    /// <summary>Direct return: in UDP, Generic UDP Encapsulation (draft-ietf-intarea-gue), port 6080.</summary>
    Gue,
    /// <summary>Direct return: in UDP, Geneve (RFC 8926), port 6081, with the virtual address and port as an option.</summary>
    Geneve,
    /// <summary>Direct return: only the Ethernet addresses change; backends share a link with the balancer.</summary>
    L2,
}

/// <summary>Forwarding modes of direct return that a program knows; the code of others is not part of it.</summary>
[Flags]
public enum DirectModes : byte
{
    /// <summary>None.</summary>
    None = 0,
    /// <summary><see cref="ForwardingMode.IpIp"/>.</summary>
    IpIp = 1 << ForwardingMode.IpIp,
    /// <summary><see cref="ForwardingMode.Gue"/>.</summary>
    Gue = 1 << ForwardingMode.Gue,
    /// <summary><see cref="ForwardingMode.Geneve"/>.</summary>
    Geneve = 1 << ForwardingMode.Geneve,
    /// <summary><see cref="ForwardingMode.L2"/>.</summary>
    L2 = 1 << ForwardingMode.L2,
}
