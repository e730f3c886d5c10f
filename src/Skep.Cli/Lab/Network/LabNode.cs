using System.Net;

namespace Skep.Cli.Lab.Network;

/// <summary>A host of the lab: a namespace with one device, eth0, on its own subnet of the edge.</summary>
/// <param name="Namespace">The namespace.</param>
/// <param name="Device">Name of the edge's end of the cable, which is the host's role too.</param>
/// <param name="V4">IPv4 addresses of the host, the first is the main one.</param>
/// <param name="V6">IPv6 addresses of the host, the first is the main one.</param>
internal sealed record LabNode(LabNamespace Namespace, string Device, IReadOnlyList<IPAddress> V4, IReadOnlyList<IPAddress> V6);
