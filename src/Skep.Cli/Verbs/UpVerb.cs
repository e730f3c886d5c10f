using System.CommandLine;
using Skep.Agent;
using Skep.Agent.Api;
using Skep.Cli.Output;
using Spectre.Console;

namespace Skep.Cli.Verbs;

/// <summary><c>skep up</c>: look at this host's traffic, now.</summary>
internal static class UpVerb
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(250);

    public static Command Build()
    {
        var keep = new Option<bool>("--keep") { Description = "Leave the programs in the kernel when it ends, as 'skep agent' does." };
        var verb = new VerbCommand(
            "up",
            "Run the agent here and show the flows of this host. It observes only: nothing is dropped or redirected unless resources say so. Ctrl-C ends it and takes everything out of the kernel.",
            "skep up", "skep up --observe eth0", "skep up -f edge.yaml --keep", "skep up --pcap traffic.pcapng   (no root needed)")
        {
            keep,
        };
        var options = AgentCommandLine.On(verb, null);
        return verb.Runs(async (result, cancellation) =>
        {
            var agent = options.Read(result) with { Detach = !result.GetValue(keep), Quiet = true };
            var console = Screen.For(result.InvocationConfiguration.Output);
            await AgentRunner.RunAsync(agent, (platform, ending) => ShowAsync(console, platform, agent, ending), cancellation);
            console.MarkupLine(agent.Detach ? "[grey]ended; nothing is left in the kernel[/]" : "[grey]ended; the programs go on working, 'skep down' takes them out[/]");
            return ExitCode.Ok;
        });
    }

    private static async Task ShowAsync(IAnsiConsole console, Platform platform, AgentOptions options, CancellationToken ending)
    {
        Introduce(console, platform.Status(), options);
        var follower = new FlowFollower();
        var since = DateTimeOffset.MinValue;
        using var timer = new PeriodicTimer(s_pause);
        do
        {
            using var answer = platform.Flows(new FlowFilter { Since = since, Limit = 200 });
            foreach (var flow in follower.News(answer))
            {
                FlowPrinter.WriteLine(console, flow);
            }

            since = answer.Now - TimeSpan.FromSeconds(1);
        }
        while (await timer.WaitForNextTickAsync(ending));
    }

    private static void Introduce(IAnsiConsole console, StatusView status, AgentOptions options)
    {
        foreach (var notice in status.Notices)
        {
            console.MarkupLine($"[yellow]{Screen.Escape(notice)}[/]");
        }

        foreach (var problem in status.Resources.Problems)
        {
            console.MarkupLine($"[red]{Screen.Escape($"{problem.File}:{problem.Line}:{problem.Column}: {problem.Id}: {problem.Message}: {problem.Advice}")}[/]");
        }

        if (status.Engine == "twin")
        {
            console.MarkupLine($"Playing [bold]{Screen.Escape(options.Pcap ?? "the sample capture")}[/] through the twin engine: the same programs, in this process.");
        }
        else
        {
            var attached = status.Interfaces.Where(i => i.Hooks.Count > 0).Select(i => i.Name).ToArray();
            console.MarkupLine($"Observing [bold]{Screen.Escape(attached.Length > 0 ? string.Join(", ", attached) : "no interface")}[/] with {status.Programs.Count} programs in the kernel.");
            foreach (var refused in status.Interfaces.Where(i => i.Error is not null))
            {
                console.MarkupLine($"[red]{Screen.Escape(refused.Name)}: {Screen.Escape(refused.Error!)}[/]");
            }
        }

        var r = status.Resources;
        console.MarkupLine(r.LoadBalancers + r.BlockLists + r.RateLimits + r.BlocksByCommand == 0
            ? "Nothing is enforced: no packet is dropped or redirected."
            : $"In force: {r.LoadBalancers} load balancers, {r.BlockLists} block lists, {r.RateLimits} rate limits, {r.BlocksByCommand} blocks by command.");
        var where = options.Listen is { } listen ? $" Metrics: http://{listen}/metrics." : "";
        console.MarkupLine($"[grey]Go on in another terminal: skep status, skep top, skep drops, skep apply -f FILE.{Screen.Escape(where)} Ctrl-C ends it.[/]");
        console.WriteLine();
    }
}
