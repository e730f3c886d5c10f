using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Skep.Agent;

/// <summary>The life of an agent from lock to end.</summary>
internal static class AgentRunner
{
    /// <summary>Runs an agent until the token is cancelled or the process is told to end.</summary>
    /// <param name="options">How.</param>
    /// <param name="whenServing">Runs beside it once it serves; when it ends, so does the agent. Null for none.</param>
    /// <param name="cancellation">Ends the agent.</param>
    /// <exception cref="AgentException">The agent cannot start.</exception>
    public static async Task RunAsync(AgentOptions options, Func<Platform, CancellationToken, Task>? whenServing, CancellationToken cancellation)
    {
        // Before anything is put on disk or into the kernel.
        AgentHost.CheckListen(options.Listen);
        using var instance = InstanceLock.Take(options.Paths);
        var opened = OpenedDatapath.Open(options, TimeProvider.System);
        var player = opened.Datapath is Engine.TwinDatapath twin ? new TwinPlayer(twin, options.Pcap) : null;
        player?.Check();
        await using var app = AgentHost.Build(options, opened);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellation, app.Lifetime.ApplicationStopping);
        var serving = AgentHost.RunAsync(app, options, cancellation);
        var started = new TaskCompletionSource();
        using var registration = app.Lifetime.ApplicationStarted.Register(started.SetResult);
        if (await Task.WhenAny(started.Task, serving) == serving)
        {
            await serving;
            return;
        }

        var platform = app.Services.GetRequiredService<Platform>();
        List<Task> beside = [];
        if (player is not null)
        {
            beside.Add(player.RunAsync(ending.Token));
        }

        if (whenServing is not null)
        {
            beside.Add(EndAfterAsync(whenServing(platform, ending.Token), app));
        }

        await serving;
        foreach (var task in beside)
        {
            try
            {
                await task;
            }
            catch (OperationCanceledException)
            {
                // The agent ended first.
            }
        }
    }

    /// <summary>Removes what an instance left in the kernel; returns how many programs that were. With <paramref name="forget"/> also its state.</summary>
    /// <exception cref="AgentException">An agent of the instance runs.</exception>
    public static int Remove(AgentOptions options, bool forget)
    {
        using var instance = InstanceLock.Take(options.Paths);
        if (forget && Directory.Exists(options.Paths.State))
        {
            File.Delete(options.Paths.Applied);
            File.Delete(options.Paths.LastGood);
            File.Delete(options.Paths.Blocks);
            File.Delete(options.Paths.Drains);
        }

        if (!Directory.Exists(options.Paths.Pins))
        {
            return 0;
        }

        // Counted as files: a link may belong to an interface that is gone, or to another network namespace.
        var attached = Directory.Exists(Path.Combine(options.Paths.Pins, "links")) ? Directory.GetFiles(Path.Combine(options.Paths.Pins, "links")).Length : 0;
        using var datapath = new Engine.KernelDatapath(new Engine.KernelDatapathOptions(options.Paths.Pins));
        datapath.RemoveAll();
        return attached;
    }

    private static async Task EndAfterAsync(Task task, WebApplication app)
    {
        try
        {
            await task;
        }
        finally
        {
            app.Lifetime.StopApplication();
        }
    }
}
