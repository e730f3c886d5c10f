using System.Globalization;
using Skep.Agent.Api;
using Skep.Cli.Output;
using Spectre.Console;

namespace Skep.Cli.Verbs;

/// <summary><c>skep drain</c>: the backends that are being drained, and what remains of them.</summary>
internal static class DrainVerb
{
    public static System.CommandLine.Command Build()
    {
        var verb = new VerbCommand(
            "drain", "Show the backends that are drained: connections that remain, and when those are cut. 'drain' at a backend of a LoadBalancer begins it.", "skep drain", "skep drain --json");
        var agent = AgentVerb.On(verb);
        return verb.Runs((result, cancellation) =>
            agent.ShowAsync(result, "api/v1/backends?state=draining", ClientJson.Default.ListBackendView, Show, cancellation));
    }

    private static void Show(IAnsiConsole console, List<BackendView> backends)
    {
        if (backends.Count == 0)
        {
            console.WriteLine("No backend is drained. Write 'drain: true', or 'drain: {for: 10m}', at a backend of a LoadBalancer and apply it.");
            return;
        }

        var table = Screen.Table("LOAD BALANCER", "SERVICE", "BACKEND", ">CONNECTIONS", ">TIME LEFT", "CUT AT");
        foreach (var b in backends)
        {
            table.Row(b.LoadBalancer, b.Service, Screen.Endpoint(b.Address, b.Port), Screen.Count((ulong)b.Active), Left(b), At(b));
        }

        console.Write(table);
    }

    private static string Left(BackendView backend) => backend.DrainSeconds is not { } seconds ? "any"
        : seconds <= 0 ? "over" : Skep.Resources.Duration.Format(TimeSpan.FromSeconds(Math.Ceiling(seconds)));

    private static string At(BackendView backend) => backend.DrainEnds is { } at ? at.ToLocalTime().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture) : "never";
}
