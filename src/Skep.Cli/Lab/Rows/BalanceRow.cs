using Skep.Cli.Lab.Load;

namespace Skep.Cli.Lab.Rows;

/// <summary>New connections are shared out by the weights of the backends.</summary>
internal sealed class BalanceRow : LabRow
{
    // Shares of n connections scatter by sqrt(p(1-p)/n): 1.3 points at n = 1500, so 6 points are beyond chance.
    private const int Connections = 1500;
    private const double Tolerance = 0.06;

    internal override string Name => "balance";

    internal override string Title => "Connections follow the weights 5:3:2";

    internal override async Task RunAsync(LabContext lab, LabChecks checks, CancellationToken cancellation)
    {
        var clients = lab.Network.Clients;
        Check(lab, checks, "TCP over IPv4", await new HttpLoad(clients, LabContext.WebV4, lab.Time).RunAsync(Connections, cancellation));
        Check(lab, checks, "TCP over IPv6", await new HttpLoad(clients, LabContext.WebV6, lab.Time).RunAsync(Connections, cancellation));
        Check(lab, checks, "UDP", await new UdpLoad(clients, LabContext.EchoV4, lab.Time).RunAsync(Connections, cancellation));
    }

    private static void Check(LabContext lab, LabChecks checks, string traffic, LoadResult result)
    {
        var weights = lab.Agent.Configuration.Weights.Select(w => (double)(w ?? 0)).ToArray();
        var shares = weights.Select(w => w / weights.Sum()).ToArray();
        var measured = lab.Network.Services.Select(s => result.Share(s.Device)).ToArray();
        checks.That(
            $"{traffic}: shares of the three services",
            shares.Zip(measured).All(p => Math.Abs(p.First - p.Second) <= Tolerance),
            $"{Percent(shares)} ± {100 * Tolerance:0} points",
            Percent(measured));
        checks.Zero($"{traffic}: client errors in {Connections} connections", result.Failed, result.Failed > 0 ? result.ToString() : "");
    }

    private static string Percent(double[] shares) => string.Join(" : ", shares.Select(s => $"{100 * s:0}")) + " %";
}
