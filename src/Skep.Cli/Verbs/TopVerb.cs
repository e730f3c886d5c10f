using System.CommandLine;
using System.Text.Json;
using Skep.Agent.Api;
using Skep.Cli.Output;
using Spectre.Console;

namespace Skep.Cli.Verbs;

/// <summary><c>skep top</c>: the largest flows.</summary>
internal static class TopVerb
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);

    public static Command Build()
    {
        var by = new Option<string>("--by") { Description = "bytes, packets, rtt, retransmits or recent.", DefaultValueFactory = _ => "bytes", HelpName = "what" };
        by.AcceptOnlyFromAmong("bytes", "packets", "rtt", "retransmits", "recent");
        var once = new Option<bool>("--once", "-1") { Description = "Print the table once and end." };
        var verb = new VerbCommand("top", "Show the largest flows, anew every second; Ctrl-C ends it.", "skep top", "skep top --by rtt --port 443", "skep top --once --json") { by, once };
        var query = FlowQuery.On(verb, 20);
        var agent = AgentVerb.On(verb);
        return verb.Runs(async (result, cancellation) =>
        {
            using var client = agent.Connect(result);
            var output = result.InvocationConfiguration.Output;
            var path = query.Path(result, result.GetValue(by)!);
            var answer = await client.GetAsync(path, ClientJson.Default.FlowsView, cancellation);
            if (agent.WantsJson(result))
            {
                output.WriteLine(JsonSerializer.Serialize(answer, ClientJson.Default.FlowsView));
                return ExitCode.Ok;
            }

            var console = Screen.For(output);
            if (result.GetValue(once) || !Screen.IsTerminal)
            {
                console.Write(TableOf(answer));
                return ExitCode.Ok;
            }

            await console.Live(TableOf(answer)).StartAsync(async live =>
            {
                using var timer = new PeriodicTimer(s_pause);
                try
                {
                    while (await timer.WaitForNextTickAsync(cancellation))
                    {
                        live.UpdateTarget(TableOf(await client.GetAsync(path, ClientJson.Default.FlowsView, cancellation)));
                    }
                }
                catch (OperationCanceledException)
                {
                    // Ctrl-C: the last table stays on the screen.
                }
            });
            return ExitCode.Ok;
        });
    }

    private static Table TableOf(FlowsView answer)
    {
        var table = Screen.Table("PROTOCOL", "SOURCE", "DESTINATION", "STATE", ">PACKETS", ">BYTES", ">RTT", ">RETRANSMITS", "INTERFACE");
        foreach (var f in answer.Flows)
        {
            table.Row(
                f.Protocol, Screen.Endpoint(f.Source, f.SourcePort), Screen.Endpoint(f.Destination, f.DestinationPort), f.State,
                Screen.Count(f.Packets + f.ReplyPackets), Screen.Bytes(f.Bytes + f.ReplyBytes), Screen.Rtt(f.RttMicroseconds), Screen.Count(f.Retransmits), f.Interface);
        }

        table.Caption = new TableTitle($"{answer.Flows.Count} of {answer.Total} flows");
        return table;
    }
}
