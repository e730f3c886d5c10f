using System.CommandLine;
using System.Text.Json;
using Skep.Agent.Api;
using Skep.Cli.Output;
using Skep.Resources;

namespace Skep.Cli.Verbs;

/// <summary><c>skep block</c>: drop a source from now on.</summary>
internal static class BlockVerb
{
    public static Command Build()
    {
        var prefix = Prefix();
        var duration = new Option<string?>("--for") { Description = "How long, such as 10m, 2h or 7d; no end unless given.", HelpName = "duration" };
        var reason = new Option<string?>("--reason") { Description = "Why, for people.", HelpName = "text" };
        var interfaces = new Option<string[]>("--interface", "-i") { Description = "Where to drop; where block lists are enforced unless given.", HelpName = "name" };
        var force = new Option<bool>("--force") { Description = "Also when it covers this host or your own connection." };
        duration.Validators.Add(result =>
        {
            var text = result.GetValueOrDefault<string?>();
            if (text is not null && !Duration.TryParse(text, out _))
            {
                result.AddError($"--for: '{text}' is not a duration; write 500ms, 10s, 5m, 2h or 7d.");
            }
        });
        var verb = new VerbCommand(
            "block", "Drop every packet from an address or prefix, until it is unblocked or the time is over; without an address, list the blocks.",
            "skep block 203.0.113.7 --for 10m --reason scan", "skep block 2001:db8::/32 --interface eth1", "skep block")
        {
            prefix, duration, reason, interfaces, force,
        };
        var agent = AgentVerb.On(verb);
        return verb.Runs(async (result, cancellation) =>
        {
            if (result.GetValue(prefix) is not { } target)
            {
                return await agent.ShowAsync(result, "api/v1/blocks", ClientJson.Default.ListBlockView, Show, cancellation);
            }

            using var client = agent.Connect(result);
            var block = await client.PostAsync(
                "api/v1/blocks",
                new BlockRequest
                {
                    Prefix = target,
                    For = result.GetValue(duration),
                    Reason = result.GetValue(reason),
                    Interfaces = result.GetValue(interfaces),
                    Force = result.GetValue(force),
                },
                ClientJson.Default.BlockRequest, ClientJson.Default.BlockView, cancellation);
            result.InvocationConfiguration.Output.WriteLine(agent.WantsJson(result)
                ? JsonSerializer.Serialize(block, ClientJson.Default.BlockView)
                : $"blocked {block.Prefix}{(block.Until is { } until ? $" until {until:yyyy-MM-dd HH:mm:ss}Z" : "")}");
            return ExitCode.Ok;
        });
    }

    /// <summary>An address or prefix; checked by the agent, which knows the rules.</summary>
    private static Argument<string?> Prefix() => new("prefix") { Description = "Address or prefix.", Arity = ArgumentArity.ZeroOrOne };

    private static void Show(Spectre.Console.IAnsiConsole console, List<BlockView> blocks)
    {
        if (blocks.Count == 0)
        {
            console.Write(new Spectre.Console.Text("Nothing is blocked.\n"));
            return;
        }

        var table = Screen.Table("PREFIX", ">DROPPED", "UNTIL", "FROM", "REASON");
        foreach (var b in blocks)
        {
            table.Row(b.Prefix, Screen.Count(b.Packets), b.Until is { } until ? $"{until:yyyy-MM-dd HH:mm:ss}Z" : "-", b.Origin, b.Reason);
        }

        console.Write(table);
    }
}
