using System.Net;
using Skep.Cli.Lab.Load;

namespace Skep.Cli.Lab.Rows;

/// <summary>Packets that the kernel throws away are seen with the reason and with the flow they belong to.</summary>
internal sealed class DropsRow : LabRow
{
    private const int ClosedPort = 4;
    private const int Packets = 200;

    internal override string Name => "drops";

    internal override string Title => "Drops appear with reason and flow";

    internal override async Task RunAsync(LabContext lab, LabChecks checks, CancellationToken cancellation)
    {
        var before = await CountAsync(lab, cancellation);
        var target = new IPEndPoint(lab.Network.Services[1].V4[0], ClosedPort);
        var sent = await new Flood(lab.Network.Attacker, target, lab.Time).RunAsync(4 * Packets, TimeSpan.FromSeconds(0.25), payload: 64, cancellation);
        await Waiting.UntilAsync(async () => await CountAsync(lab, cancellation) - before >= sent, TimeSpan.FromSeconds(3), lab.Time, cancellation);
        checks.AtLeast($"packets to a port nobody listens on, dropped for NO_SOCKET ({sent} sent)", sent, await CountAsync(lab, cancellation) - before);
        var drop = (await lab.Agent.DropsAsync(cancellation)).FirstOrDefault(IsNoSocket);
        checks.That(
            "the drop names the flow", drop?.LastSource?.StartsWith(lab.Network.Attacker.V4[0].ToString(), StringComparison.Ordinal) == true,
            $"{lab.Network.Attacker.V4[0]} -> {target}", $"{drop?.LastSource} -> {drop?.LastDestination}");
    }

    private static async Task<long> CountAsync(LabContext lab, CancellationToken cancellation) =>
        (await lab.Agent.DropsAsync(cancellation)).Where(IsNoSocket).Sum(d => (long)d.Packets);

    private static bool IsNoSocket(Skep.Agent.Api.DropView drop) => drop.Reason.Contains("NO_SOCKET", StringComparison.OrdinalIgnoreCase);
}
