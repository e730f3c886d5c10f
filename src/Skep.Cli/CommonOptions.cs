using System.CommandLine;
using Skep.Agent;

namespace Skep.Cli;

/// <summary>Options that several verbs have; every verb gets objects of its own.</summary>
internal static class CommonOptions
{
    public static Option<bool> Json() => new("--json") { Description = "Print JSON for programs instead of text for people." };

    public static Option<string> Instance()
    {
        var option = new Option<string>("--instance") { Description = "Name of the agent's instance.", DefaultValueFactory = _ => "", HelpName = "name" };
        option.Validators.Add(result =>
        {
            var name = result.GetValueOrDefault<string>();
            if (name is not null && !AgentPaths.IsInstance(name))
            {
                result.AddError("--instance: letters, digits, '-' and '_', at most 32 of them.");
            }
        });
        return option;
    }

    public static Option<string?> Agent() => new("--agent") { Description = $"Read from the agent at this address instead of the local socket ({AgentOptions.DefaultListen}).", HelpName = "host:port" };

    public static Option<EngineChoice> Engine()
    {
        var option = new Option<EngineChoice>("--engine")
        {
            Description = "auto, kernel or twin.",
            HelpName = "engine",
            DefaultValueFactory = _ => EngineChoice.Auto,
            CustomParser = result =>
            {
                var word = result.Tokens.Count == 1 ? result.Tokens[0].Value : "";
                switch (word)
                {
                    case "auto": return EngineChoice.Auto;
                    case "kernel": return EngineChoice.Kernel;
                    case "twin": return EngineChoice.Twin;
                    default:
                        result.AddError($"--engine: '{word}' is none of auto, kernel, twin.");
                        return EngineChoice.Auto;
                }
            },
        };
        option.CompletionSources.Clear();
        option.CompletionSources.Add("auto", "kernel", "twin");
        return option;
    }
}
