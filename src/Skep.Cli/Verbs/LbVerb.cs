using System.CommandLine;
using System.Net;
using Skep.Agent.Api;
using Skep.Cli.Output;
using Spectre.Console;

namespace Skep.Cli.Verbs;

/// <summary><c>skep lb</c>: questions to the balancer.</summary>
internal static class LbVerb
{
    public static Command Build() => new VerbCommand("lb", "Ask the balancer about one connection.", "skep lb explain 203.0.113.7:40000 192.0.2.10:80") { BuildExplain() };

    private static VerbCommand BuildExplain()
    {
        var client = Endpoint("client", "Address and port of the client, for example 203.0.113.7:40000 or [2001:db8::7]:40000.");
        var service = Endpoint("service", "Virtual address and port, for example 192.0.2.10:80.");
        var udp = new Option<bool>("--udp") { Description = "A UDP service." };
        var connectionId = new Option<string>("--connection-id") { Description = "QUIC connection id that the packet is sent to, in hexadecimal.", DefaultValueFactory = _ => "" };
        var verb = new VerbCommand(
            "explain", "Say which backend a connection has, or a new one would get, and why: connection table, ring slot, open connections, weights.",
            "skep lb explain 203.0.113.7:40000 192.0.2.10:80", "skep lb explain 203.0.113.7:5000 192.0.2.10:53 --udp",
            "skep lb explain 203.0.113.7:5000 192.0.2.10:443 --udp --connection-id 000a01c0ffee00")
        {
            client, service, udp, connectionId,
        };
        var agent = AgentVerb.On(verb);
        return verb.Runs((result, cancellation) => agent.ShowAsync(
            result,
            $"api/v1/explain?client={Uri.EscapeDataString(result.GetValue(client)!.ToString())}&service={Uri.EscapeDataString(result.GetValue(service)!.ToString())}&protocol={(result.GetValue(udp) ? "udp" : "tcp")}&connectionId={Uri.EscapeDataString(result.GetValue(connectionId)!)}",
            ClientJson.Default.ExplanationView, Show, cancellation));
    }

    private static Argument<IPEndPoint?> Endpoint(string name, string description) => new(name)
    {
        Description = description,
        CustomParser = argument =>
        {
            var text = argument.Tokens[0].Value;
            if (IPEndPoint.TryParse(text, out var endpoint) && endpoint.Port != 0)
            {
                return endpoint;
            }

            argument.AddError($"'{Safe.Text(text)}' is not an address and a port; write it as 192.0.2.10:80 or [2001:db8::10]:80.");
            return null;
        },
    };

    private static void Show(IAnsiConsole console, ExplanationView explanation)
    {
        console.WriteLine(Safe.Text(explanation switch
        {
            { Backend: { } backend, IsKnown: true } => $"It goes to {backend}.",
            { Backend: { } backend } => $"A new connection would go to {backend}.",
            { IsKnown: true } => "It is known, but not as a client's.",
            _ => "It goes to no backend.",
        }));
        foreach (var step in explanation.Steps)
        {
            console.WriteLine(Safe.Text($"  {step}"));
        }
    }
}
