using System.Globalization;
using Skep.Cli.Lab.Load;

namespace Skep.Cli.Lab.Rows;

/// <summary>A backend becomes slow: its share goes to the others and comes back when it recovers, and nobody gets an error.</summary>
internal sealed class AdaptiveRow : LabRow
{
    private const int PerSecond = 300;
    private static readonly TimeSpan Steady = TimeSpan.FromSeconds(4), Reaction = TimeSpan.FromSeconds(5), Recovery = TimeSpan.FromSeconds(15);

    internal override string Name => "adaptive";

    internal override string Title => "Weights follow latency: a slow backend loses its surplus and regains it";

    internal override async Task RunAsync(LabContext lab, LabChecks checks, CancellationToken cancellation)
    {
        var before = lab.Agent.Configuration;
        var slow = lab.Services.Moody[2];
        var name = lab.Network.Services[2].Device;
        var address = lab.Network.Services[2].V4[0].ToString();
        async Task<double> ShareAsync() => (await lab.Agent.BackendsAsync(cancellation)).Single(b => b.Address == address && b.Service.Contains(":8000/", StringComparison.Ordinal)).Share;

        lab.Services.Moody.ToList().ForEach(m => m.Pause = TimeSpan.FromMilliseconds(4));
        await lab.Agent.ConfigureAsync(before with { Weights = [1, 1, 1], Spec = ["adaptive: {floorPercent: 10}"] }, cancellation);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var load = new HttpLoad(lab.Network.Clients, LabContext.MoodyV4, lab.Time).RunUntilAsync(PerSecond, stop.Token);
        try
        {
            var farthest = 100 / 3.0;
            await Waiting.UntilAsync(
                async () =>
                {
                    var share = 100 * await ShareAsync();
                    farthest = Math.Abs(share - (100 / 3.0)) > Math.Abs(farthest - (100 / 3.0)) ? share : farthest;
                    return false;
                },
                Steady, lab.Time, cancellation);
            checks.Near($"share of {name} while all are equal, in percent, at its farthest in 4 s", 33.3, farthest, 5);
            var last = (await lab.Agent.DecisionsAsync(0, cancellation)).Select(d => d.Number).LastOrDefault();

            slow.Pause = TimeSpan.FromMilliseconds(40);
            var started = lab.Time.GetTimestamp();
            var lost = await Waiting.UntilAsync(async () => await ShareAsync() < 0.1, Reaction, lab.Time, cancellation);
            var (left, took) = (100 * await ShareAsync(), lab.Time.GetElapsedTime(started).TotalSeconds);
            checks.That(
                $"{name} becomes ten times slower and loses its surplus", lost, "below 10 % in 5 s",
                string.Create(CultureInfo.InvariantCulture, $"{left:0.#} % after {took:0.0} s"));
            var reason = (await lab.Agent.DecisionsAsync(last, cancellation)).FirstOrDefault(d => d.Backend.StartsWith(address, StringComparison.Ordinal) && d.Kind == "less")?.Reason ?? "none";
            checks.That("the reason is on record", reason.Contains("answers take", StringComparison.Ordinal), "answers take ...", reason);

            slow.Pause = TimeSpan.FromMilliseconds(4);
            started = lab.Time.GetTimestamp();
            var regained = await Waiting.UntilAsync(async () => await ShareAsync() > 0.25, Recovery, lab.Time, cancellation);
            (left, took) = (100 * await ShareAsync(), lab.Time.GetElapsedTime(started).TotalSeconds);
            checks.That(
                "as fast as the others again, it regains three quarters of its share", regained, "above 25 % in 15 s",
                string.Create(CultureInfo.InvariantCulture, $"{left:0.#} % after {took:0.0} s"));
        }
        finally
        {
            lab.Services.Moody.ToList().ForEach(m => m.Pause = TimeSpan.Zero);
            await stop.CancelAsync();
        }

        var result = await load;
        checks.Zero($"client errors in {result.Answered} requests meanwhile", result.Failed, result.Failed > 0 ? result.ToString() : "");
        await lab.Agent.ConfigureAsync(before, cancellation);
    }
}
