using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Skep.Cli.Output;
using Spectre.Console;

namespace Skep.Cli;

/// <summary>What verbs that ask the agent have in common: which agent, and text or JSON.</summary>
internal sealed class AgentVerb
{
    private readonly Option<string> _instance = CommonOptions.Instance();
    private readonly Option<string?> _agent = CommonOptions.Agent();
    private readonly Option<bool> _json = CommonOptions.Json();

    private AgentVerb()
    {
    }

    /// <summary>Adds the options to a verb.</summary>
    public static AgentVerb On(VerbCommand verb, bool json = true)
    {
        var common = new AgentVerb();
        verb.Add(common._instance);
        verb.Add(common._agent);
        if (json)
        {
            verb.Add(common._json);
        }

        return common;
    }

    public AgentClient Connect(ParseResult result) => AgentClient.For(result.GetValue(_instance)!, result.GetValue(_agent));

    public bool WantsJson(ParseResult result) => result.GetValue(_json);

    /// <summary>Asks once and prints the answer as JSON or by <paramref name="show"/>.</summary>
    public async Task<int> ShowAsync<T>(
        ParseResult result, string path, JsonTypeInfo<T> type, Action<IAnsiConsole, T> show, CancellationToken cancellation)
    {
        using var client = Connect(result);
        var answer = await client.GetAsync(path, type, cancellation);
        var output = result.InvocationConfiguration.Output;
        if (WantsJson(result))
        {
            output.WriteLine(JsonSerializer.Serialize(answer, type));
        }
        else
        {
            show(Screen.For(output), answer);
        }

        return ExitCode.Ok;
    }
}
