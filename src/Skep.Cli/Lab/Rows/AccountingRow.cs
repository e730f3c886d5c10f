using System.Net;
using Skep.Agent.Api;
using Skep.Cli.Lab.Load;
using Skep.Cli.Lab.Services;

namespace Skep.Cli.Lab.Rows;

/// <summary>What the agent counts for a flow is what the sockets sent, to the byte.</summary>
internal sealed class AccountingRow : LabRow
{
    private const int Datagrams = 500;
    private const long UploadBytes = 3_000_000;

    // Frame headers that the sockets do not see: Ethernet 14, IPv4 20, UDP 8, TCP 20 and 12 of timestamps.
    private const int UdpOverhead = 14 + 20 + 8;
    private const int TcpOverhead = 14 + 20 + 20 + 12;

    // A SYN carries 20 bytes of options instead of 12.
    private const int SynExtra = 8;

    internal override string Name => "accounting";

    internal override string Title => "Flow accounting equals what was sent";

    internal override async Task RunAsync(LabContext lab, LabChecks checks, CancellationToken cancellation)
    {
        var clients = lab.Network.Clients;
        // Not through the balancer: there the hooks see the backend's address on the way in and the service's on the way out.
        var echo = new IPEndPoint(lab.Network.Services[0].V4[0], EchoService.Port);
        var udp = await UdpConversation.RunAsync(clients.Namespace, clients.V4[1], echo, Datagrams);
        var flow = await FindAsync(lab, $"from={clients.V4[1]}&port={udp.Local.Port}&protocol=udp", f => f.Packets >= (ulong)udp.Packets, cancellation);
        checks.Near("UDP: packets of the flow", udp.Packets, flow.Packets, 0);
        checks.Near("UDP: bytes of the flow", udp.Payload + (udp.Packets * UdpOverhead), flow.Bytes, 0);
        checks.Near("UDP: bytes of its answers", udp.AnswerPayload + (udp.Answers * UdpOverhead), flow.ReplyBytes, 0);

        var tcp = await Upload.RunAsync(clients.Namespace, clients.V4[2], LabContext.SinkV4, UploadBytes, TimeSpan.FromSeconds(5), lab.Time, cancellation);
        checks.Near("TCP, balanced: payload the service received", tcp.Sent, tcp.Received, 0);
        flow = await FindAsync(lab, $"from={clients.V4[2]}&port={tcp.Local.Port}&protocol=tcp", f => f.Packets >= tcp.End.SegmentsOut, cancellation);
        checks.Near("TCP, balanced: packets of the flow, as the socket counts segments", tcp.End.SegmentsOut, flow.Packets, 0);
        checks.Near("TCP, balanced: bytes of the flow", tcp.End.BytesSent + (tcp.End.SegmentsOut * TcpOverhead) + SynExtra, flow.Bytes, 0);
    }

    /// <summary>The flow as the clients' side of the edge saw it, once the agent has read all of it.</summary>
    private static async Task<FlowView> FindAsync(LabContext lab, string query, Func<FlowView, bool> complete, CancellationToken cancellation)
    {
        FlowView? found = null;
        await Waiting.UntilAsync(
            async () =>
            {
                found = (await lab.Agent.FlowsAsync($"{query}&interface={lab.Network.Clients.Device}", cancellation)).FirstOrDefault() ?? found;
                return found is not null && complete(found);
            },
            TimeSpan.FromSeconds(3), lab.Time, cancellation);
        return found ?? throw new LabException($"the agent knows no flow {query}");
    }
}
