using System.CommandLine;
using System.Runtime.InteropServices;

namespace Skep.Cli.Lab;

/// <summary><c>skep lab</c>: a small network in namespaces in which the platform is shown on real traffic.</summary>
internal static class LabCommand
{
    private const int ExitFailed = 1;
    private const int ExitInterrupted = 130;

    internal static Command Create()
    {
        var only = new Option<string[]>("--only") { Description = "Run only these rows (see --list)", AllowMultipleArgumentsPerToken = true };
        var report = new Option<FileInfo?>("--report") { Description = "Write expected and measured values as JSON to this file" };
        var keep = new Option<bool>("--keep") { Description = "Leave the network and the agent running until Ctrl-C" };
        var list = new Option<bool>("--list") { Description = "List the rows and exit" };
        only.AcceptOnlyFromAmong([.. LabRows.All.Select(r => r.Name)]);
        var command = new Command("lab", "Show every capability on real traffic in a small network of namespaces (root, nginx; about 50 s)")
        {
            only, report, keep, list,
        };
        command.SetAction((result, cancellation) => result.GetValue(list)
            ? Task.FromResult(List())
            : RunAsync(new LabOptions(result.GetValue(only) ?? [], result.GetValue(report)?.FullName, result.GetValue(keep)), cancellation));
        return command;
    }

    private static int List()
    {
        foreach (var row in LabRows.All)
        {
            Console.WriteLine($"{row.Name,-12} {row.Title}");
        }

        return 0;
    }

    private static async Task<int> RunAsync(LabOptions options, CancellationToken cancellation)
    {
        if (!Environment.IsPrivilegedProcess)
        {
            Console.Error.WriteLine("skep lab: needs root, to make network namespaces and to load programs. Try: sudo ./skep lab");
            return ExitFailed;
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using var interrupt = Cancel(PosixSignal.SIGINT, stop);
        using var terminate = Cancel(PosixSignal.SIGTERM, stop);
        using var hangUp = Cancel(PosixSignal.SIGHUP, stop);
        try
        {
            var output = new LabOutput(Console.Out);
            var report = await new LabRun(options, output, TimeProvider.System).RunAsync(stop.Token);
            output.Show(report);
            if (options.Report is { } path)
            {
                await report.WriteAsync(path);
            }

            return report.Passed ? 0 : ExitFailed;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            Console.Error.WriteLine("skep lab: interrupted, everything it made has been removed");
            return ExitInterrupted;
        }
        catch (LabException e)
        {
            Console.Error.WriteLine($"skep lab: {e.Message}");
            return ExitFailed;
        }
    }

    /// <summary>A signal ends the run in good order instead of ending the process.</summary>
    private static PosixSignalRegistration Cancel(PosixSignal signal, CancellationTokenSource stop) =>
        PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            stop.Cancel();
        });
}
