using System.Globalization;
using Skep.Agent.Api;
using Spectre.Console;

namespace Skep.Cli.Output;

/// <summary>Flows as lines: one each, so that they can be grepped, coloured on a terminal.</summary>
internal static class FlowPrinter
{
    /// <summary>The line of a flow.</summary>
    public static string Markup(FlowView flow)
    {
        var colour = flow.State switch
        {
            "reset" or "opening" or "one-way" => "red",
            "established" or "answered" or "active" => "green",
            _ => "grey",
        };
        var rtt = flow.RttMicroseconds is null ? "" : $" rtt {Screen.Rtt(flow.RttMicroseconds)}";
        var lost = flow.Retransmits == 0 ? "" : $" [red]retransmits {flow.Retransmits}[/]";
        lost += flow.Drops is null ? "" : $" [red]dropped {Screen.Escape(string.Join(", ", flow.Drops.Select(d => $"{d.Packets} {d.Reason}")))}[/]";
        var backend = flow.Backend is null ? "" : $" [grey]at[/] [aqua]{Screen.Escape(flow.Backend)}[/]";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{flow.LastSeen.ToLocalTime():HH:mm:ss.fff} {flow.Protocol,-6} {End(flow.Source, flow.SourcePort)} [grey]->[/] {End(flow.Destination, flow.DestinationPort)}{backend} [{colour}]{Screen.Escape(flow.State)}[/] {flow.Packets}/{flow.ReplyPackets} packets {Screen.Bytes(flow.Bytes)}/{Screen.Bytes(flow.ReplyBytes)}{rtt}{lost} [grey]{Screen.Escape(flow.Interface)}[/]");
    }

    /// <summary>Writes a flow as a line that no width can break.</summary>
    public static void WriteLine(IAnsiConsole console, FlowView flow)
    {
        var width = console.Profile.Width;
        console.Profile.Width = Screen.Unbroken;
        console.MarkupLine(Markup(flow));
        console.Profile.Width = width;
    }

    private static string End(string address, int port) => port == 0
        ? $"[aqua]{Screen.Escape(address)}[/]"
        : address.Contains(':', StringComparison.Ordinal)
            ? $"[aqua][[{Screen.Escape(address)}]][/]:[yellow]{port}[/]"
            : $"[aqua]{Screen.Escape(address)}[/]:[yellow]{port}[/]";
}
