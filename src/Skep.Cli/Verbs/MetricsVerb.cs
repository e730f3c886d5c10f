using System.CommandLine;
using Skep.Agent.Metrics;

namespace Skep.Cli.Verbs;

/// <summary><c>skep metrics</c>: what Prometheus would scrape.</summary>
internal static class MetricsVerb
{
    public static Command Build()
    {
        var open = new Option<bool>("--openmetrics") { Description = "OpenMetrics 1.0 instead of the Prometheus text format." };
        var verb = new VerbCommand("metrics", "Print the agent's metrics as Prometheus would scrape them.", "skep metrics", "skep metrics | promtool check metrics") { open };
        var agent = AgentVerb.On(verb, json: false);
        return verb.Runs(async (result, cancellation) =>
        {
            using var client = agent.Connect(result);
            var accept = result.GetValue(open) ? MetricsWriter.OpenMetricsType : "text/plain";
            result.InvocationConfiguration.Output.Write(await client.GetTextAsync("metrics", accept, cancellation));
            return ExitCode.Ok;
        });
    }
}
