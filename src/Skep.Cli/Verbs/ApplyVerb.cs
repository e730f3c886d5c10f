using System.CommandLine;
using System.Text;
using System.Text.Json;
using Skep.Agent.Api;
using Skep.Cli.Output;
using Skep.Resources;

namespace Skep.Cli.Verbs;

/// <summary><c>skep apply</c>: put resources into force.</summary>
internal static class ApplyVerb
{
    public static Command Build()
    {
        var file = new Option<string[]>("--file", "-f")
        {
            Description = "File or directory with resources; '-' reads the standard input.", Required = true, AllowMultipleArgumentsPerToken = true, HelpName = "path",
        };
        var dryRun = new Option<bool>("--dry-run") { Description = "Only check, against what the agent has now, also whether what is in its tables would find room in tables of the sizes asked for." };
        var verb = new VerbCommand(
            "apply",
            "Check resources and put them into force, in the place of what was applied before. The agent keeps them over restarts; with an error nothing changes.",
            "skep apply -f edge.yaml", "skep apply -f edge.d/ --dry-run", "cat edge.yaml | skep apply -f -")
        {
            file, dryRun,
        };
        var agent = AgentVerb.On(verb);
        return verb.Runs(async (result, cancellation) =>
        {
            var (name, text) = Read(result.GetValue(file)!);
            using var client = agent.Connect(result);
            var dry = result.GetValue(dryRun);
            var outcome = await client.PostYamlAsync(
                $"api/v1/resources?dryRun={(dry ? "true" : "false")}&file={Uri.EscapeDataString(name)}", Encoding.UTF8.GetBytes(text), ClientJson.Default.ApplyView, cancellation);
            var output = result.InvocationConfiguration.Output;
            if (agent.WantsJson(result))
            {
                output.WriteLine(JsonSerializer.Serialize(outcome, ClientJson.Default.ApplyView));
                return ExitCode.Ok;
            }

            foreach (var p in outcome.Problems)
            {
                result.InvocationConfiguration.Error.WriteLine(Safe.Text($"{p.File}:{p.Line}:{p.Column}: {p.Id} (warning): {p.Message}: {p.Advice}"));
            }

            output.WriteLine($"{(outcome.Applied ? "in force" : "would be in force")}: {outcome.LoadBalancers} load balancers, {outcome.BlockLists} block lists, {outcome.RateLimits} rate limits");
            return ExitCode.Ok;
        });
    }

    // Checked here first: problems then name the files as the user did, and need no agent.
    private static (string Name, string Text) Read(string[] paths)
    {
        if (paths is ["-"])
        {
            var given = Console.In.ReadToEnd();
            return given.AsSpan().Trim().IsEmpty
                ? throw new VerbException("the standard input is empty: did the command before it fail? Nothing was changed. To take back what was applied: echo '# none' | skep apply -f -")
                : ("stdin", given);
        }

        var loaded = ResourceLoader.Load(paths);
        if (loaded.Set is null)
        {
            throw new VerbException("the resources have errors, nothing was changed:\n" + string.Join('\n', loaded.Problems));
        }

        return (loaded.Texts is [var only] ? only.File : "applied", string.Join("\n---\n", loaded.Texts.Select(t => t.Text)));
    }
}
