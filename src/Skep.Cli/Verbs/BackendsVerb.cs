using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Skep.Agent.Api;
using Skep.Cli.Output;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Skep.Cli.Verbs;

/// <summary><c>skep backends</c>: who gets the connections, and why.</summary>
internal static class BackendsVerb
{
    private const int DecisionsShown = 12;
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);

    public static Command Build()
    {
        var watch = new Option<bool>("--watch", "-w") { Description = "Show them anew every second with what was decided last and why; Ctrl-C ends it." };
        var history = new Option<bool>("--history") { Description = "Show what was decided about backends of late, and why." };
        var verb = new VerbCommand(
            "backends", "Show the backends of every load balancer: state, share, traffic, latency. With --watch --json, one decision a line.",
            "skep backends", "skep backends --watch", "skep backends --history", "skep backends --json")
        {
            watch, history,
        };
        var agent = AgentVerb.On(verb);
        return verb.Runs((result, cancellation) =>
            result.GetValue(watch) ? WatchAsync(agent, result, cancellation)
            : result.GetValue(history) ? agent.ShowAsync(result, "api/v1/decisions", ClientJson.Default.ListDecisionView, (console, d) => console.Write(TableOf(d)), cancellation)
            : agent.ShowAsync(result, "api/v1/backends", ClientJson.Default.ListBackendView, Show, cancellation));
    }

    private static async Task<int> WatchAsync(AgentVerb agent, ParseResult result, CancellationToken cancellation)
    {
        using var client = agent.Connect(result);
        var output = result.InvocationConfiguration.Output;
        var console = Screen.For(output);
        var last = new List<DecisionView>();
        using var timer = new PeriodicTimer(s_pause);
        async Task<IReadOnlyList<DecisionView>> NewsAsync()
        {
            var news = await client.GetAsync($"api/v1/decisions?after={(last.Count > 0 ? last[^1].Number : 0)}", ClientJson.Default.ListDecisionView, cancellation);
            last.AddRange(news);
            last.RemoveRange(0, Math.Max(0, last.Count - DecisionsShown));
            return news;
        }

        async Task<IRenderable> PageAsync()
        {
            await NewsAsync();
            var backends = await client.GetAsync("api/v1/backends", ClientJson.Default.ListBackendView, cancellation);
            return new Rows(TableOf(backends), new Text(""), TableOf(last));
        }

        try
        {
            if (agent.WantsJson(result) || !Screen.IsTerminal)
            {
                do
                {
                    foreach (var decision in await NewsAsync())
                    {
                        output.WriteLine(agent.WantsJson(result) ? JsonSerializer.Serialize(decision, DecisionLineJson.Default.DecisionView) : Safe.Text(LineOf(decision)));
                    }

                    output.Flush();
                }
                while (await timer.WaitForNextTickAsync(cancellation));
            }
            else
            {
                await console.Live(await PageAsync()).StartAsync(async live =>
                {
                    while (await timer.WaitForNextTickAsync(cancellation))
                    {
                        live.UpdateTarget(await PageAsync());
                    }
                });
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // Ctrl-C: seen enough.
        }

        return ExitCode.Ok;
    }

    private static void Show(IAnsiConsole console, List<BackendView> backends)
    {
        if (backends.Count == 0)
        {
            console.WriteLine("Nothing is balanced. Declare a LoadBalancer and 'skep apply' it; 'skep schema' says what it takes.");
            return;
        }

        console.Write(TableOf(backends));
        foreach (var b in backends.Where(b => b.State != "up" && b.Reason is not null))
        {
            console.WriteLine(Safe.Text($"{b.Service} {Screen.Endpoint(b.Address, b.Port)} is {b.State}: {b.Reason}"));
        }

        foreach (var b in backends.Where(b => b.State == "draining"))
        {
            var end = b.DrainEnds is { } at ? $", cut at {at.ToLocalTime().ToString("HH:mm:ss", CultureInfo.InvariantCulture)}" : "";
            console.WriteLine(Safe.Text($"{b.Service} {Screen.Endpoint(b.Address, b.Port)} is draining: {b.Active} connections remain{end}"));
        }
    }

    private static Table TableOf(List<BackendView> backends)
    {
        var table = Screen.Table("LOAD BALANCER", "SERVICE", "BACKEND", "STATE", ">WEIGHT", ">SHARE", ">CONNECTIONS", ">ACTIVE", ">WAITING", ">HANDSHAKE", ">RESPONSE", ">ERRORS", ">BYTES");
        foreach (var b in backends)
        {
            table.Row(
                b.LoadBalancer, b.Service, Screen.Endpoint(b.Address, b.Port), b.State, b.Weight.ToString(CultureInfo.InvariantCulture),
                b.Share.ToString("P1", CultureInfo.InvariantCulture), Screen.Count(b.Connections), Screen.Count((ulong)b.Active),
                Screen.Count((ulong)b.Waiting), Screen.Rtt(b.HandshakeMicroseconds), Screen.Rtt(b.ResponseMicroseconds),
                Screen.Count(b.Refused + b.Resets + b.Unanswered), Screen.Bytes(b.Bytes));
        }

        return table;
    }

    private static Table TableOf(List<DecisionView> decisions)
    {
        var table = Screen.Table("TIME", "SERVICE", "BACKEND", "DECISION", ">BEFORE", ">AFTER", "REASON");
        foreach (var d in decisions)
        {
            table.Row(
                d.At.ToLocalTime().ToString("HH:mm:ss.f", CultureInfo.InvariantCulture), d.Service, d.Backend, d.Kind,
                d.Before.ToString("P1", CultureInfo.InvariantCulture), d.After.ToString("P1", CultureInfo.InvariantCulture), d.Reason);
        }

        return table;
    }

    private static string LineOf(DecisionView d) => string.Create(
        CultureInfo.InvariantCulture, $"{d.At.ToLocalTime():HH:mm:ss.f} {d.Service} {d.Backend} {d.Kind} {d.Before:P1} -> {d.After:P1}: {d.Reason}");
}

[System.Text.Json.Serialization.JsonSourceGenerationOptions(PropertyNamingPolicy = System.Text.Json.Serialization.JsonKnownNamingPolicy.CamelCase)]
[System.Text.Json.Serialization.JsonSerializable(typeof(DecisionView))]
internal sealed partial class DecisionLineJson : System.Text.Json.Serialization.JsonSerializerContext;
