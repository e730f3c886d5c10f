using Skep.Cli.Lab.Load;

namespace Skep.Cli.Lab.Rows;

/// <summary>One backend is the canary and gets exactly its share.</summary>
internal sealed class CanaryRow : LabRow
{
    // 1.9 points of scatter in 2000 connections at three deviations.
    private const int Connections = 2000;
    private const double Tolerance = 2.1;

    internal override string Name => "canary";

    internal override string Title => "A canary gets ten percent, whatever the weights";

    internal override async Task RunAsync(LabContext lab, LabChecks checks, CancellationToken cancellation)
    {
        var before = lab.Agent.Configuration;
        var host = lab.Network.Services[2];
        await lab.Agent.ConfigureAsync(before with { Weights = [5, 3, 100], Spec = ["canary: {percent: 10}"], Backends = ["", "", "canary: true"] }, cancellation);
        var ring = (await lab.Agent.BackendsAsync(cancellation)).Where(b => b.Address == host.V4[0].ToString()).Select(b => 100 * b.Share).ToArray();
        checks.Near("its part of the ring, in percent", 10, ring.Average(), 0.1);
        var result = await new HttpLoad(lab.Network.Clients, LabContext.WebV4, lab.Time).RunAsync(Connections, cancellation);
        checks.Near($"its part of {Connections} connections, in percent", 10, 100 * result.Share(host.Device), Tolerance);
        checks.Zero("client errors", result.Failed, result.Failed > 0 ? result.ToString() : "");
        await lab.Agent.ConfigureAsync(before, cancellation);
    }
}
