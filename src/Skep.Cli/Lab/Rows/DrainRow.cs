using Skep.Cli.Lab.Load;

namespace Skep.Cli.Lab.Rows;

/// <summary>A backend is taken out of the file while it serves.</summary>
internal sealed class DrainRow : LabRow
{
    private const int LongLived = 24;
    private const int Connections = 400;

    internal override string Name => "drain";

    internal override string Title => "A backend is removed while connections live";

    internal override async Task RunAsync(LabContext lab, LabChecks checks, CancellationToken cancellation)
    {
        var before = lab.Agent.Configuration;
        var removed = lab.Network.Services[0].Device;
        var web = new HttpLoad(lab.Network.Clients, LabContext.WebV4, lab.Time);
        await using var longLived = await LongLivedLoad.StartAsync(lab.Network.Clients, LabContext.WebV4, LongLived, lab.Time, cancellation);
        var held = longLived.HeldBy(removed);
        checks.AtLeast($"connections that {removed} holds when it is removed", 1, held);

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var during = web.RunUntilAsync(perSecond: 400, stop.Token);
        await lab.Agent.ConfigureAsync(before with { Weights = [null, .. before.Weights.Skip(1)] }, cancellation);
        await stop.CancelAsync();
        var inTransition = await during;
        checks.Zero("client errors while it is removed", inTransition.Failed, inTransition.Failed > 0 ? inTransition.ToString() : "");

        var after = await web.RunAsync(Connections, cancellation);
        checks.Zero($"new connections of {Connections} that reach it afterwards", after.From(removed));
        checks.Zero("client errors afterwards", after.Failed, after.Failed > 0 ? after.ToString() : "");

        var answers = longLived.AnswersPerConnection();
        var all = await Waiting.UntilAsync(
            () => longLived.AnswersPerConnection().Zip(answers).All(p => p.First > p.Second + 2), TimeSpan.FromSeconds(2), lab.Time, cancellation);
        checks.That($"all {LongLived} open connections keep being answered", all && longLived.HeldBy(removed) == held, $"{held} by {removed}", $"{longLived.HeldBy(removed)} by {removed}");
        checks.Zero("errors of open connections", longLived.Result.Failed, longLived.Result.Failed > 0 ? longLived.Result.ToString() : "");

        await lab.Agent.ConfigureAsync(before, cancellation);
        var restored = await web.RunAsync(Connections, cancellation);
        checks.AtLeast("new connections that reach it once it is back", 1, restored.From(removed));
    }
}
