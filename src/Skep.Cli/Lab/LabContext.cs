using System.Net;
using Skep.Cli.Lab.Agent;
using Skep.Cli.Lab.Network;
using Skep.Cli.Lab.Services;

namespace Skep.Cli.Lab;

/// <summary>What a row works with.</summary>
/// <param name="Network">Namespaces and addresses.</param>
/// <param name="Services">What runs on the service hosts.</param>
/// <param name="Agent">The agent on the edge.</param>
/// <param name="Time">The clock.</param>
internal sealed record LabContext(LabTopology Network, LabServices Services, LabAgent Agent, TimeProvider Time)
{
    internal static IPEndPoint WebV4 { get; } = new(LabTopology.VirtualV4, LabConfiguration.WebPort);

    internal static IPEndPoint WebV6 { get; } = new(LabTopology.VirtualV6, LabConfiguration.WebPort);

    internal static IPEndPoint EchoV4 { get; } = new(LabTopology.VirtualV4, LabConfiguration.EchoPort);

    internal static IPEndPoint MoodyV4 { get; } = new(LabTopology.VirtualV4, LabConfiguration.MoodyPort);

    internal static IPEndPoint SinkV4 { get; } = new(LabTopology.VirtualV4, LabConfiguration.SinkPort);
}
