using System.Net;
using Skep.Cli.Lab.Load;
using Skep.Cli.Lab.Services;

namespace Skep.Cli.Lab.Rows;

/// <summary>The agent is killed under load: connections and blocks stay, and the next agent takes over what is there.</summary>
internal sealed class SurviveRow : LabRow
{
    private const int LongLived = 24;
    private const int NewConnections = 300;

    internal override string Name => "survive";

    internal override string Title => "The agent is killed under load and a new one takes over";

    internal override async Task RunAsync(LabContext lab, LabChecks checks, CancellationToken cancellation)
    {
        var attacker = lab.Network.Attacker;
        var target = new IPEndPoint(lab.Network.Services[0].V4[0], EchoService.Port);
        var echo = lab.Services.Echo[0];
        var web = new HttpLoad(lab.Network.Clients, LabContext.WebV4, lab.Time);
        async Task<long> AttackAsync()
        {
            var before = echo.ReceivedFrom(attacker.V4[0]);
            await new Flood(attacker, target, lab.Time).RunAsync(perSecond: 2000, TimeSpan.FromSeconds(0.2), payload: 64, cancellation);
            return echo.ReceivedFrom(attacker.V4[0]) - before;
        }

        await lab.Agent.BlockAsync(attacker.V4[0], cancellation);
        await using var longLived = await LongLivedLoad.StartAsync(lab.Network.Clients, LabContext.WebV4, LongLived, lab.Time, cancellation);
        var forwarded = await lab.Agent.PacketsAsync("forwarded", cancellation);

        lab.Agent.Kill();
        checks.Zero("packets of a blocked source that arrive without an agent", await AttackAsync());
        var alone = await web.RunAsync(NewConnections, cancellation);
        checks.Zero($"client errors in {NewConnections} new connections without an agent", alone.Failed, alone.Failed > 0 ? alone.ToString() : "");
        checks.AtLeast("services that take new connections without an agent", lab.Network.Services.Count, lab.Network.Services.Count(s => alone.From(s.Device) > 0));

        await lab.Agent.StartProcessAsync(cancellation);
        checks.Zero("packets of a blocked source that arrive after the restart", await AttackAsync());
        checks.AtLeast("packets forwarded, as the new agent counts on", forwarded + NewConnections, await lab.Agent.PacketsAsync("forwarded", cancellation));

        var answers = longLived.AnswersPerConnection();
        var all = await Waiting.UntilAsync(
            () => longLived.AnswersPerConnection().Zip(answers).All(p => p.First > p.Second + 2), TimeSpan.FromSeconds(2), lab.Time, cancellation);
        var alive = longLived.AnswersPerConnection().Zip(answers).Count(p => p.First > p.Second);
        checks.That($"established connections still answered, all {LongLived}", all, $"{LongLived}", $"{alive}");
        checks.Zero("errors of established connections from kill to restart", longLived.Result.Failed, longLived.Result.Failed > 0 ? longLived.Result.ToString() : "");

        await lab.Agent.UnblockAsync(attacker.V4[0], cancellation);
        checks.AtLeast("packets that arrive once the new agent unblocks", 1, await AttackAsync());
    }
}
