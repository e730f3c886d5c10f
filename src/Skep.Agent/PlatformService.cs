using Microsoft.Extensions.Hosting;

namespace Skep.Agent;

/// <summary>Runs the loops of the platform as long as the host lives.</summary>
internal sealed class PlatformService(Platform platform) : BackgroundService
{
    // Before the API listens: what answers is ready.
    public override Task StartAsync(CancellationToken cancellationToken)
    {
        platform.Start();
        return base.StartAsync(cancellationToken);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => platform.RunAsync(stoppingToken);
}
