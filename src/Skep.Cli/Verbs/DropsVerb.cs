using System.CommandLine;
using Skep.Agent.Api;
using Skep.Cli.Output;
using Spectre.Console;

namespace Skep.Cli.Verbs;

/// <summary><c>skep drops</c>: which packets were dropped, and why.</summary>
internal static class DropsVerb
{
    public static Command Build()
    {
        var verb = new VerbCommand(
            "drops", "Show the packets that the kernel or Skep dropped, by reason, with the last one of each.", "skep drops", "skep drops --json");
        var agent = AgentVerb.On(verb);
        return verb.Runs((result, cancellation) =>
            agent.ShowAsync(result, "api/v1/drops", ClientJson.Default.ListDropView, Show, cancellation));
    }

    private static void Show(IAnsiConsole console, List<DropView> drops)
    {
        if (drops.Count == 0)
        {
            console.WriteLine("No drops since the agent observes.");
            return;
        }

        var table = Screen.Table(">PACKETS", "BY", "REASON", "MEANING", "LAST");
        foreach (var d in drops.OrderByDescending(d => d.Packets))
        {
            table.Row(Screen.Count(d.Packets), d.Stage, d.Reason, d.Meaning, d.LastSource is null ? "" : $"{d.LastProtocol} {d.LastSource} -> {d.LastDestination}");
        }

        console.Write(table);
    }
}
