using System.Net;
using Skep.Cli.Lab.Load;
using Skep.Cli.Lab.Services;

namespace Skep.Cli.Lab.Rows;

/// <summary>A blocked source is cut off at once, others are not, and unblocking restores it.</summary>
internal sealed class BlockRow : LabRow
{
    private const int Exchanges = 10;
    private const int Packets = 2000;

    internal override string Name => "block";

    internal override string Title => "A block takes effect and is lifted";

    internal override async Task RunAsync(LabContext lab, LabChecks checks, CancellationToken cancellation)
    {
        var attacker = lab.Network.Attacker;
        var target = new IPEndPoint(lab.Network.Services[0].V4[0], EchoService.Port);
        var echo = lab.Services.Echo[0];
        var probe = new UdpLoad(attacker, target, lab.Time);

        checks.Near("attacker is answered before the block", Exchanges, (await probe.RunAsync(Exchanges, cancellation)).Answered, 0);

        await lab.Agent.BlockAsync(attacker.V4[0], cancellation);
        var received = echo.ReceivedFrom(attacker.V4[0]);
        var dropped = await lab.Agent.PacketsAsync("blocked", cancellation);
        var sent = await new Flood(attacker, target, lab.Time).RunAsync(perSecond: 4 * Packets, TimeSpan.FromSeconds(0.25), payload: 64, cancellation);
        var counted = await Waiting.UntilAsync(
            async () => await lab.Agent.PacketsAsync("blocked", cancellation) - dropped >= sent, TimeSpan.FromSeconds(2), lab.Time, cancellation);
        checks.Zero("packets of the attacker that arrive while blocked", echo.ReceivedFrom(attacker.V4[0]) - received, $"of {sent} sent");
        checks.That("packets counted as blocked", counted, $">= {sent}", $"{await lab.Agent.PacketsAsync("blocked", cancellation) - dropped}");

        var clients = await new HttpLoad(lab.Network.Clients, LabContext.WebV4, lab.Time).RunAsync(100, cancellation);
        checks.Zero("client errors meanwhile", clients.Failed, clients.Failed > 0 ? clients.ToString() : "");

        await lab.Agent.UnblockAsync(attacker.V4[0], cancellation);
        checks.Near("attacker is answered after the block", Exchanges, (await probe.RunAsync(Exchanges, cancellation)).Answered, 0);
    }
}
