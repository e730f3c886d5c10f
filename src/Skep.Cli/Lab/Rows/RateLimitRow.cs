using Skep.Cli.Lab.Load;

namespace Skep.Cli.Lab.Rows;

/// <summary>A flood from one source is held to the limit while clients are served as before.</summary>
internal sealed class RateLimitRow : LabRow
{
    private const int Limit = 1000;
    private const int Burst = 1000;
    private const int FloodPerSecond = 20_000;
    private const int ClientRequestsPerSecond = 200;
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(2);

    internal override string Name => "ratelimit";

    internal override string Title => "A rate limit holds a flood while clients stay served";

    internal override async Task RunAsync(LabContext lab, LabChecks checks, CancellationToken cancellation)
    {
        var before = lab.Agent.Configuration;
        await lab.Agent.ConfigureAsync(before with { RateLimit = (Limit, Burst) }, cancellation);
        var attacker = lab.Network.Attacker.V4[0];
        long Arrived() => lab.Services.Echo.Sum(e => e.ReceivedFrom(attacker));
        var arrivedBefore = Arrived();

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var serving = new HttpLoad(lab.Network.Clients, LabContext.WebV4, lab.Time).RunUntilAsync(ClientRequestsPerSecond, stop.Token);
        var started = lab.Time.GetTimestamp();
        var sent = await new Flood(lab.Network.Attacker, LabContext.EchoV4, lab.Time).RunAsync(FloodPerSecond, Duration, payload: 64, cancellation);
        var seconds = lab.Time.GetElapsedTime(started).TotalSeconds;
        await stop.CancelAsync();
        var served = await serving;
        var arrived = Arrived() - arrivedBefore;

        // Two CPUs that see the source at the same instant may let a packet more through; a fifth covers that and the clock's tick.
        var allowed = Burst + (Limit * seconds);
        checks.Near($"flood packets that reach a service, of {sent} sent", allowed, arrived, 0.2 * allowed);
        checks.Zero($"client errors during the flood ({served.Answered} answers)", served.Failed, served.Failed > 0 ? served.ToString() : "");
        checks.AtMost("clients' slowest answer but 1 % during the flood", 250, served.Quantile(0.99), " ms");
        await lab.Agent.ConfigureAsync(before, cancellation);
    }
}
