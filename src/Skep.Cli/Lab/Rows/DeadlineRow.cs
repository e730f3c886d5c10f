using Skep.Cli.Lab.Load;
using Skep.Cli.Lab.Services;

namespace Skep.Cli.Lab.Rows;

/// <summary>A backend is drained with a deadline: what remains is counted and then cut.</summary>
internal sealed class DeadlineRow : LabRow
{
    private const int LongLived = 24;
    private const int Connections = 200;

    internal override string Name => "deadline";

    internal override string Title => "A backend is drained, and what remains after two seconds is cut";

    internal override async Task RunAsync(LabContext lab, LabChecks checks, CancellationToken cancellation)
    {
        var before = lab.Agent.Configuration;
        var drained = lab.Network.Services[0];
        await using var longLived = await LongLivedLoad.StartAsync(lab.Network.Clients, LabContext.WebV4, LongLived, lab.Time, cancellation);
        var held = longLived.HeldBy(drained.Device);
        async Task<long> RemainingAsync() => (await lab.Agent.BackendsAsync(cancellation)).Single(b => b.Address == drained.V4[0].ToString() && b.Port == WebService.Port).Active;

        await lab.Agent.ConfigureAsync(before with { Backends = ["drain: {for: 2s}", "", ""] }, cancellation);
        checks.AtLeast($"connections that remain at {drained.Device}, as 'skep backends' counts them", held, await RemainingAsync());
        var during = await new HttpLoad(lab.Network.Clients, LabContext.WebV4, lab.Time).RunAsync(Connections, cancellation);
        checks.Zero($"new connections of {Connections} that reach it", during.From(drained.Device));
        checks.Zero("client errors while it drains", during.Failed + longLived.Result.Failed, during.Failed > 0 ? during.ToString() : "");

        var cut = await Waiting.UntilAsync(async () => await RemainingAsync() == 0, TimeSpan.FromSeconds(6), lab.Time, cancellation);
        checks.That("what remains is cut at the deadline", cut, "0 remain", $"{await RemainingAsync()} remain");
        var told = await Waiting.UntilAsync(() => longLived.Result.Failed >= held, TimeSpan.FromSeconds(5), lab.Time, cancellation);
        checks.That("its clients are told by a reset, the others go on", told && longLived.Result.Failed == held, $"{held} reset", longLived.Result.ToString());
        await lab.Agent.ConfigureAsync(before, cancellation);
    }
}
