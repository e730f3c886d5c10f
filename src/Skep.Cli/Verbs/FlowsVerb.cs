using System.CommandLine;
using System.Text.Json;
using Skep.Agent.Api;
using Skep.Cli.Output;

namespace Skep.Cli.Verbs;

/// <summary><c>skep flows</c>: who talks to whom, as it happens.</summary>
internal static class FlowsVerb
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(500);

    public static Command Build()
    {
        var once = new Option<bool>("--once", "-1") { Description = "Print the flows there are and end; exit code 1 when none matches." };
        var verb = new VerbCommand(
            "flows", "Show flows as they begin, move on and end; Ctrl-C ends it. With --json, one JSON object a line.",
            "skep flows", "skep flows --host 10.0.0.5 --port 443", "skep flows --protocol udp --once", "skep flows --json | jq 'select(.retransmits > 0)'")
        {
            once,
        };
        var query = FlowQuery.On(verb, 1000);
        var agent = AgentVerb.On(verb);
        return verb.Runs(async (result, cancellation) =>
        {
            using var client = agent.Connect(result);
            var printer = Printer(result, agent.WantsJson(result));
            if (result.GetValue(once))
            {
                var answer = await client.GetAsync(query.Path(result, "recent"), ClientJson.Default.FlowsView, cancellation);
                foreach (var flow in answer.Flows.Reverse())
                {
                    printer(flow);
                }

                return answer.Flows.Count > 0 ? ExitCode.Ok : ExitCode.Failed;
            }

            await FollowAsync(client, result, query, printer, cancellation);
            return ExitCode.Ok;
        });
    }

    private static async Task FollowAsync(AgentClient client, ParseResult result, FlowQuery query, Action<FlowView> printer, CancellationToken cancellation)
    {
        var follower = new FlowFollower();
        DateTimeOffset? since = null;
        using var timer = new PeriodicTimer(s_pause);
        try
        {
            do
            {
                var answer = await client.GetAsync(query.Path(result, "recent", since), ClientJson.Default.FlowsView, cancellation);
                foreach (var flow in follower.News(answer))
                {
                    printer(flow);
                }

                // A flow of the moment of the answer may have been read a little before it.
                since = answer.Now - TimeSpan.FromSeconds(1);
                result.InvocationConfiguration.Output.Flush();
            }
            while (await timer.WaitForNextTickAsync(cancellation));
        }
        catch (OperationCanceledException)
        {
            // Ctrl-C: seen enough.
        }
    }

    private static Action<FlowView> Printer(ParseResult result, bool json)
    {
        var output = result.InvocationConfiguration.Output;
        if (json)
        {
            return flow => output.WriteLine(JsonSerializer.Serialize(flow, FlowLineJson.Default.FlowView));
        }

        var console = Screen.For(output);
        return flow => FlowPrinter.WriteLine(console, flow);
    }
}

[System.Text.Json.Serialization.JsonSourceGenerationOptions(PropertyNamingPolicy = System.Text.Json.Serialization.JsonKnownNamingPolicy.CamelCase)]
[System.Text.Json.Serialization.JsonSerializable(typeof(FlowView))]
internal sealed partial class FlowLineJson : System.Text.Json.Serialization.JsonSerializerContext;
