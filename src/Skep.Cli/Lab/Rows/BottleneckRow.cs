using System.Net;
using Skep.Cli.Lab.Load;
using Skep.Cli.Lab.Network;
using Skep.Cli.Lab.Services;

namespace Skep.Cli.Lab.Rows;

/// <summary>Behind a narrow link the agent sees the round trip time, the retransmits and the lost packets that the sender's socket and the queue know of.</summary>
internal sealed class BottleneckRow : LabRow
{
    private const int MegabitsPerSecond = 20;
    private const int QueueMilliseconds = 40;
    private const int UnloadedLimit = 5_000;
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(3);

    internal override string Name => "bottleneck";

    internal override string Title => "Round trip time, retransmits and drops under a narrow link";

    internal override async Task RunAsync(LabContext lab, LabChecks checks, CancellationToken cancellation)
    {
        var clients = lab.Network.Clients;
        var service = lab.Network.Services[2];
        var target = new IPEndPoint(service.V4[0], SinkService.Port);

        var idle = await Upload.RunAsync(clients.Namespace, clients.V4[3], target, 20_000, TimeSpan.FromSeconds(1), lab.Time, cancellation);
        var unloaded = await FindAsync(lab, service.Device, idle.Local, cancellation);
        checks.AtMost("round trip without the narrow link", UnloadedLimit, unloaded?.RttMicroseconds ?? throw new LabException($"the agent knows no round trip of {idle.Local}"), " us");

        var dropsBefore = await QueueDropsAsync(lab, cancellation);
        Upload upload;
        using (new Bottleneck(lab.Network.Edge, service.Device, MegabitsPerSecond, QueueMilliseconds))
        {
            upload = await Upload.RunAsync(clients.Namespace, clients.V4[3], target, long.MaxValue, Duration, lab.Time, cancellation);
        }

        var flow = await FindAsync(lab, service.Device, upload.Local, cancellation) ?? throw new LabException($"the agent knows no flow from {upload.Local}");
        checks.Near(
            "smoothed round trip of the upload, as the socket has it", upload.Busy.Rtt / 1000.0, (flow.RttMicroseconds ?? 0) / 1000, Math.Max(5, 0.35 * upload.Busy.Rtt / 1000), " ms");
        checks.AtLeast("segments the socket sent again", 1, upload.End.TotalRetransmits);
        checks.Near("retransmits of the flow, as the socket counts them", upload.End.TotalRetransmits, flow.Retransmits, Math.Max(2, 0.1 * upload.End.TotalRetransmits));
        var lost = await QueueDropsAsync(lab, cancellation) - dropsBefore;
        checks.AtLeast("packets the agent saw dropped by the queue, with that reason", upload.End.TotalRetransmits / 2, lost);
    }

    private static async Task<long> QueueDropsAsync(LabContext lab, CancellationToken cancellation) =>
        (await lab.Agent.DropsAsync(cancellation)).Where(d => d.Reason.Contains("QDISC", StringComparison.OrdinalIgnoreCase)).Sum(d => (long)d.Packets);

    /// <summary>The flow at the service's side of the edge: from there the way to the service and back leads through the queue.</summary>
    private static async Task<Skep.Agent.Api.FlowView?> FindAsync(LabContext lab, string device, IPEndPoint local, CancellationToken cancellation)
    {
        Skep.Agent.Api.FlowView? found = null;
        await Waiting.UntilAsync(
            async () =>
            {
                found = (await lab.Agent.FlowsAsync($"from={local.Address}&port={local.Port}&protocol=tcp&interface={device}", cancellation)).FirstOrDefault();
                return found is { RttMicroseconds: not null };
            },
            TimeSpan.FromSeconds(3), lab.Time, cancellation);
        return found;
    }
}
