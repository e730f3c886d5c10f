using Skep.Packets;

namespace Skep.Flows;

/// <summary>Addresses and ports of a packet as a flow program saw it.</summary>
public readonly record struct FlowPacket(IpAddress Source, ushort SourcePort, IpAddress Destination, ushort DestinationPort, IpProtocol Protocol);

/// <summary>What a balancer did to a flow: the client talks to the service, the packets go to the backend.</summary>
public readonly record struct FlowTranslation(IpAddress Service, ushort ServicePort, IpAddress Backend, ushort BackendPort);

/// <summary>
/// Finds what a balancer before the hook did to a packet; null for packets that it left alone. To be answered by one lookup: every flow with packets in
/// one direction only is asked about.
/// </summary>
public delegate FlowTranslation? TranslationLookup(FlowPacket packet);
