using System.CommandLine;
using Skep.Agent.Api;
using Skep.Cli.Output;
using Spectre.Console;

namespace Skep.Cli.Verbs;

/// <summary><c>skep status</c>: what the agent does and whether it is well.</summary>
internal static class StatusVerb
{
    public static Command Build()
    {
        var verb = new VerbCommand(
            "status", "Show what the agent runs, enforces and observes, and what is wrong.", "skep status", "skep status --json | jq .resources");
        var agent = AgentVerb.On(verb);
        return verb.Runs((result, cancellation) =>
            agent.ShowAsync(result, "api/v1/status", ClientJson.Default.StatusView, Show, cancellation));
    }

    private static void Show(IAnsiConsole console, StatusView status)
    {
        var facts = Screen.Table("", "");
        facts.ShowHeaders = false;
        facts.Row("agent", $"{status.Version}, pid {status.Pid}{(status.Instance.Length > 0 ? $", instance {status.Instance}" : "")}, {(status.Ready ? "ready" : "not ready")}");
        facts.Row("engine", status.Engine);
        facts.Row("memory", Screen.Bytes((ulong)status.ResidentBytes));
        facts.Row("flows", Screen.Count((ulong)status.Flows));
        var r = status.Resources;
        facts.Row("enforces", r is { LoadBalancers: 0, BlockLists: 0, RateLimits: 0, BlocksByCommand: 0 }
            ? "nothing: it only observes"
            : $"{r.LoadBalancers} load balancers, {r.BlockLists} block lists, {r.RateLimits} rate limits, {r.BlocksByCommand} blocks by command");
        console.Write(facts);
        foreach (var notice in status.Notices)
        {
            console.MarkupLine($"[yellow]note[/]  {Screen.Escape(notice)}");
        }

        if (!r.Current)
        {
            console.MarkupLine("[red]The files have errors; the last good resources are in force:[/]");
        }

        foreach (var p in r.Problems)
        {
            console.WriteLine(Safe.Text($"{p.File}:{p.Line}:{p.Column}: {p.Id}{(p.Severity == "warning" ? " (warning)" : "")}: {p.Message}: {p.Advice}"));
        }

        ShowInterfaces(console, status);
        ShowCounters(console, status);
    }

    private static void ShowInterfaces(IAnsiConsole console, StatusView status)
    {
        console.WriteLine();
        var table = Screen.Table("INTERFACE", "PROGRAMS", "WHY THERE");
        foreach (var i in status.Interfaces)
        {
            table.Row(i.Name, i.Error ?? (i.Hooks.Count == 0 ? "none" : string.Join(", ", i.Hooks)), i.WhyEdge ?? "");
        }

        console.Write(table);
        console.WriteLine();
        if (status.Tables.Count > 0)
        {
            var tables = Screen.Table("TABLE", ">USED", ">SIZE", ">MEMORY");
            foreach (var t in status.Tables)
            {
                tables.Row(t.Name, Screen.Count((ulong)t.Used), Screen.Count((ulong)t.Size), t.Bytes > 0 ? Screen.Bytes((ulong)t.Bytes) : "-");
            }

            console.Write(tables);
            console.WriteLine();
        }

        var maps = Screen.Table("MAP", "KIND", ">ENTRIES", ">CAPACITY", ">MEMORY");
        foreach (var m in status.Maps)
        {
            maps.Row(
                m.Name, m.Kind, m.Entries < 0 ? "-" : Screen.Count((ulong)m.Entries), Screen.Count((ulong)m.Capacity), m.Bytes > 0 ? Screen.Bytes((ulong)m.Bytes) : "-");
        }

        console.Write(maps);
    }

    private static void ShowCounters(IAnsiConsole console, StatusView status)
    {
        var seen = status.Verdicts.Where(v => v.Packets > 0).ToArray();
        if (seen.Length > 0)
        {
            console.WriteLine();
            var table = Screen.Table("EDGE VERDICT", ">PACKETS", ">BYTES");
            foreach (var v in seen)
            {
                table.Row(v.Name, Screen.Count(v.Packets), Screen.Bytes(v.Bytes));
            }

            console.Write(table);
        }

        foreach (var lost in status.LostEvents.Where(l => l.Packets > 0))
        {
            console.MarkupLine($"[red]{Screen.Count(lost.Packets)} events of {Screen.Escape(lost.Name)} were lost[/]");
        }
    }
}
