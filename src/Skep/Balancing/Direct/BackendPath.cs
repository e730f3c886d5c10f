using Skep.Packets;

namespace Skep.Balancing;

/// <summary>The way from this host to a backend, as the routing and neighbour tables tell it.</summary>
/// <param name="SourceAddress">Address of this host that packets to the backend come from.</param>
/// <param name="Mtu">Bytes that a packet on this way may have, outer headers included.</param>
/// <param name="Interface">Index of the interface; 0 while the next hop has not answered: then the network stack routes the outer packets.</param>
/// <param name="Source">Ethernet address of the interface.</param>
/// <param name="Destination">Ethernet address of the next hop.</param>
/// <param name="VlanId">VLAN in which the next hop is, 1 to 4094; 0 for none.</param>
public readonly record struct BackendPath(
    IpAddress SourceAddress, int Mtu, int Interface = 0, MacAddress Source = default, MacAddress Destination = default, ushort VlanId = 0);
