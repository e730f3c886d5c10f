using System.CommandLine;
using Skep.Cli.Output;

namespace Skep.Cli.Verbs;

/// <summary><c>skep unblock</c>: take back a <c>skep block</c>.</summary>
internal static class UnblockVerb
{
    public static Command Build()
    {
        var prefix = new Argument<string>("prefix") { Description = "Address or prefix, as it was blocked." };
        var verb = new VerbCommand("unblock", "Take back a 'skep block'.", "skep unblock 203.0.113.7") { prefix };
        var agent = AgentVerb.On(verb, json: false);
        return verb.Runs(async (result, cancellation) =>
        {
            using var client = agent.Connect(result);
            var target = result.GetValue(prefix)!;
            await client.DeleteAsync($"api/v1/blocks?prefix={Uri.EscapeDataString(target)}", cancellation);
            result.InvocationConfiguration.Output.WriteLine($"unblocked {Safe.Text(target)}");
            return ExitCode.Ok;
        });
    }
}
