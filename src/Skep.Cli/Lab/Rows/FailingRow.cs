using System.Globalization;
using System.Net;
using Skep.Agent.Api;
using Skep.Cli.Lab.Load;
using Skep.Cli.Lab.Network;
using Skep.Cli.Lab.Services;

namespace Skep.Cli.Lab.Rows;

/// <summary>A backend fails its health checks, later refuses connections: it is out within a second, and back when it is well.</summary>
internal sealed class FailingRow : LabRow
{
    private const int Connections = 200;
    private const int PerSecond = 300;

    internal override string Name => "failing";

    internal override string Title => "A failing backend is out within a second and comes back";

    internal override async Task RunAsync(LabContext lab, LabChecks checks, CancellationToken cancellation)
    {
        var before = lab.Agent.Configuration;
        var host = lab.Network.Services[1];
        var moody = lab.Services.Moody[1];
        var web = new HttpLoad(lab.Network.Clients, LabContext.MoodyV4, lab.Time);
        await lab.Agent.ConfigureAsync(
            before with { Weights = [1, 1, 1], Spec = [$"healthCheck: {{type: http, port: {MoodyService.Port}, path: {MoodyService.HealthPath}, interval: 200ms, unhealthy: 2, healthy: 2}}"] }, cancellation);
        try
        {
            await CheckHealthAsync(lab, checks, host, moody, web, cancellation);
            await lab.Agent.ConfigureAsync(before with { Weights = [1, 1, 1], Spec = ["outlierDetection: {ejectFor: 1s}"] }, cancellation);
            await CheckEjectionAsync(lab, checks, host, moody, web, cancellation);
        }
        finally
        {
            moody.IsUnwell = false;
        }

        await lab.Agent.ConfigureAsync(before, cancellation);
    }

    // The server says that it is unwell before it is: nobody notices.
    private static async Task CheckHealthAsync(LabContext lab, LabChecks checks, LabNode host, MoodyService moody, HttpLoad web, CancellationToken cancellation)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var load = web.RunUntilAsync(PerSecond, stop.Token);
        moody.IsUnwell = true;
        var started = lab.Time.GetTimestamp();
        var dead = await Waiting.UntilAsync(async () => (await BackendAsync(lab, host, cancellation)).State == "dead", TimeSpan.FromSeconds(5), lab.Time, cancellation);
        var (took, reason) = (lab.Time.GetElapsedTime(started).TotalSeconds, (await BackendAsync(lab, host, cancellation)).Reason);
        checks.That(
            $"{host.Device} fails two health checks and leaves the ring", dead && took <= 1, "in 1 s",
            string.Create(CultureInfo.InvariantCulture, $"{took:0.0} s, {reason}"));
        checks.Zero($"new connections of {Connections} that reach it", (await web.RunAsync(Connections, cancellation)).From(host.Device));
        moody.IsUnwell = false;
        var alive = await Waiting.UntilAsync(async () => (await BackendAsync(lab, host, cancellation)).State == "up", TimeSpan.FromSeconds(5), lab.Time, cancellation);
        checks.That("healthy again it takes connections again", alive && (await web.RunAsync(Connections, cancellation)).From(host.Device) > 0, "yes", alive ? "yes" : "no");
        await stop.CancelAsync();
        var result = await load;
        checks.Zero($"client errors in {result.Answered} requests meanwhile", result.Failed, result.Failed > 0 ? result.ToString() : "");
    }

    // Without health checks: the first clients that are refused are the signal.
    private static async Task CheckEjectionAsync(LabContext lab, LabChecks checks, LabNode host, MoodyService moody, HttpLoad web, CancellationToken cancellation)
    {
        var last = (await lab.Agent.DecisionsAsync(0, cancellation)).Select(d => d.Number).LastOrDefault();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var load = web.RunUntilAsync(PerSecond, stop.Token);
        async Task<DecisionView?> FindAsync(string kind) => (await lab.Agent.DecisionsAsync(last, cancellation)).FirstOrDefault(d => d.Kind == kind && d.Backend.StartsWith(host.V4[0].ToString(), StringComparison.Ordinal));

        moody.Close();
        var closed = lab.Time.GetUtcNow();
        try
        {
            await Waiting.UntilAsync(async () => await FindAsync("ejected") is not null, TimeSpan.FromSeconds(5), lab.Time, cancellation);
            var took = (await FindAsync("ejected"))?.At - closed;
            checks.AtMost($"seconds until {host.Device}, which refuses connections, is out", 1, took?.TotalSeconds ?? 99);
            checks.Zero($"client errors in {Connections} connections while it is out", (await web.RunAsync(Connections, cancellation)).Failed);
        }
        finally
        {
            moody.Open();
        }

        var returned = await Waiting.UntilAsync(async () => await FindAsync("returned") is not null, TimeSpan.FromSeconds(5), lab.Time, cancellation);
        checks.That("it is let in again", returned, "returned", (await FindAsync("returned"))?.Reason ?? "no");
        await stop.CancelAsync();
        await load;
        var explained = await lab.Agent.ExplainAsync(new IPEndPoint(lab.Network.Clients.V4[0], 1234), LabContext.MoodyV4, cancellation);
        checks.That("'skep lb explain' names the backend and why", explained is { Backend: not null, Steps.Count: >= 3 }, "backend, slot, weight", string.Join(' ', explained.Steps.Take(2)));
    }

    private static async Task<BackendView> BackendAsync(LabContext lab, LabNode host, CancellationToken cancellation) =>
        (await lab.Agent.BackendsAsync(cancellation)).Single(b => b.Address == host.V4[0].ToString() && b.Port == MoodyService.Port);
}
