using System.Net;
using System.Net.Sockets;
using Skep.Cli.Lab.Kernel;
using Skep.Cli.Lab.Load;
using Skep.Cli.Lab.Network;
using Skep.Cli.Lab.Services;

namespace Skep.Cli.Lab.Rows;

/// <summary>Behind a narrow link the agent sees the round trip time, the retransmits and the lost packets that the sender's socket and the queue know of.</summary>
internal sealed class BottleneckRow : LabRow
{
    private const int MegabitsPerSecond = 20;
    private const int DeepMilliseconds = 1000;
    private const int ShallowMilliseconds = 20;
    private const int TCP_CONGESTION = 13;
    private const int ShortestDeep = 10;
    private const int UnloadedLimit = 5_000;
    private const int Samples = 10;
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(2.5);
    private static readonly TimeSpan Filling = TimeSpan.FromSeconds(0.8);
    private static readonly TimeSpan SampleInterval = TimeSpan.FromMilliseconds(100);

    internal override string Name => "bottleneck";

    internal override string Title => "Round trip time, retransmits and drops under a narrow link";

    internal override async Task RunAsync(LabContext lab, LabChecks checks, CancellationToken cancellation)
    {
        var clients = lab.Network.Clients;
        var service = lab.Network.Services[2];
        var target = new IPEndPoint(service.V4[0], SinkService.Port);
        var narrow = new IPEndPoint(service.V4[0], SinkService.SmallWindowPort);

        var idle = await Upload.RunAsync(clients.Namespace, clients.V4[3], target, 20_000, TimeSpan.FromSeconds(1), lab.Time, cancellation);
        var unloaded = await FindAsync(lab, service.Device, idle.Local, cancellation);
        checks.AtMost("round trip without the narrow link", UnloadedLimit, unloaded?.RttMicroseconds ?? throw new LabException($"the agent knows no round trip of {idle.Local}"), " us");

        // A deep queue first: what the receiver lets be in flight waits there, nothing is lost, and the round trip is long and steady.
        (double Socket, double Agent) rtt;
        using (new Bottleneck(lab.Network.Edge, service.Device, MegabitsPerSecond, DeepMilliseconds))
        {
            var opened = new TaskCompletionSource<Socket>(TaskCreationOptions.RunContinuationsAsynchronously);
            using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            var sending = Upload.RunAsync(clients.Namespace, clients.V4[3], narrow, long.MaxValue, Timeout.InfiniteTimeSpan, lab.Time, enough.Token, socket =>
            {
                // Grows to the receiver's window whatever the delay, and stays there: the round trip is steady while it is compared.
                socket.SetRawSocketOption((int)SocketOptionLevel.Tcp, TCP_CONGESTION, "reno"u8);
                opened.SetResult(socket);
            });
            try
            {
                rtt = await CompareRttAsync(lab, service.Device, await opened.Task.WaitAsync(cancellation), cancellation);
            }
            finally
            {
                await enough.CancelAsync();
                await sending;
            }
        }

        checks.AtLeast("round trip behind a deep queue, as the socket has it (median)", ShortestDeep, rtt.Socket, " ms");
        checks.Near("round trip of that flow, as the agent has it (median)", rtt.Socket, rtt.Agent, 0.2 * rtt.Socket, " ms");

        var dropsBefore = await QueueDropsAsync(lab, cancellation);
        Upload upload;
        // As behind a network card: what is lost and sent again are segments, which the socket counts.
        clients.Namespace.Run(() => Offload.SetSegmentation("eth0", on: false));
        using (new Bottleneck(lab.Network.Edge, service.Device, MegabitsPerSecond, ShallowMilliseconds))
        {
            upload = await Upload.RunAsync(clients.Namespace, clients.V4[3], target, long.MaxValue, Duration, lab.Time, cancellation);
        }

        clients.Namespace.Run(() => Offload.SetSegmentation("eth0", on: true));

        var flow = await FindAsync(lab, service.Device, upload.Local, cancellation) ?? throw new LabException($"the agent knows no flow from {upload.Local}");
        checks.AtLeast("segments sent again because of a shallow queue", 1, upload.End.TotalRetransmits);
        checks.Near("retransmits of the flow, as the socket counts them", upload.End.TotalRetransmits, flow.Retransmits, Math.Max(2, 0.1 * upload.End.TotalRetransmits));
        var lost = await QueueDropsAsync(lab, cancellation) - dropsBefore;
        checks.AtLeast("packets the agent saw dropped by the queue, with that reason", upload.End.TotalRetransmits / 2, lost);
    }

    /// <summary>Asks socket and agent by turns while the queue is full, and gives the medians in milliseconds.</summary>
    private static async Task<(double Socket, double Agent)> CompareRttAsync(LabContext lab, string device, Socket socket, CancellationToken cancellation)
    {
        var local = (IPEndPoint)socket.LocalEndPoint!;
        List<double> ofSocket = [], ofAgent = [];
        await Task.Delay(Filling, lab.Time, cancellation);
        for (var i = 0; i < Samples; i++)
        {
            ofSocket.Add(TcpInfo.Of(socket).Rtt / 1000.0);
            ofAgent.Add(((await FindAsync(lab, device, local, cancellation))?.RttMicroseconds ?? 0) / 1000);
            await Task.Delay(SampleInterval, lab.Time, cancellation);
        }

        return (Median(ofSocket), Median(ofAgent));
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

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
