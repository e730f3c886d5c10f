using Skep.Cli.Lab.Agent;
using Skep.Cli.Lab.Network;
using Skep.Cli.Lab.Services;

namespace Skep.Cli.Lab;

/// <summary>One run from building the network to removing it.</summary>
internal sealed class LabRun(LabOptions options, LabOutput output, TimeProvider time)
{
    /// <summary>Runs the rows and removes what was made, also when cancelled.</summary>
    internal async Task<LabReport> RunAsync(CancellationToken cancellation)
    {
        var started = time.GetUtcNow();
        var clock = time.GetTimestamp();
        foreach (var leftover in LabCleaner.RemoveLeftovers())
        {
            output.Say($"removed from an earlier run: {leftover}");
        }

        var journal = LabJournal.Start();
        List<LabCheck> checks;
        try
        {
            using var network = LabTopology.Create(journal);
            using var services = await LabServices.StartAsync(journal, network, time, cancellation);
            await using var agent = await LabAgent.StartAsync(journal, network, time, cancellation);
            checks = await RunRowsAsync(new LabContext(network, services, agent, time), cancellation);
            if (options.Keep)
            {
                await KeepAsync(network, cancellation);
            }
        }
        finally
        {
            LabCleaner.Remove(journal.Run);
        }

        var kernel = (await File.ReadAllTextAsync("/proc/sys/kernel/osrelease", CancellationToken.None)).Trim();
        return new LabReport(started, time.GetElapsedTime(clock).TotalSeconds, kernel, checks.All(c => c.Passed), checks);
    }

    private async Task<List<LabCheck>> RunRowsAsync(LabContext lab, CancellationToken cancellation)
    {
        var all = new List<LabCheck>();
        foreach (var row in LabRows.All.Where(r => options.Only.Count == 0 || options.Only.Contains(r.Name)))
        {
            output.Say($"{row.Name}: {row.Title}");
            var checks = new LabChecks(row.Name);
            try
            {
                await row.RunAsync(lab, checks, cancellation);
            }
            catch (Exception e) when (e is not OperationCanceledException || !cancellation.IsCancellationRequested)
            {
                // A row that breaks off is a failed row; the others still have something to show.
                checks.That("runs to its end", false, "no error", $"{e.GetType().Name}: {e.Message}");
            }

            all.AddRange(checks.All);
        }

        return all;
    }

    private async Task KeepAsync(LabTopology network, CancellationToken cancellation)
    {
        output.Say("The network stays until you press Ctrl-C. Enter it with: nsenter --net=" + LabNamespace.PathOf(network.Edge.Name));
        foreach (var host in network.Hosts)
        {
            output.Say($"  {host.Device,-9} {LabNamespace.PathOf(host.Namespace.Name)}  {host.V4[0]}  {host.V6[0]}");
        }

        try
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, time, cancellation);
        }
        catch (OperationCanceledException)
        {
            // Ctrl-C is how it is meant to end.
        }
    }
}
