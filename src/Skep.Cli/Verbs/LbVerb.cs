using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Text.Json;
using Skep.Agent.Api;
using Skep.Cli.Output;
using Spectre.Console;

namespace Skep.Cli.Verbs;

/// <summary><c>skep lb</c>: questions to the balancer.</summary>
internal static class LbVerb
{
    public static Command Build() => new VerbCommand("lb", "Ask the balancer about one connection.", "skep lb explain 203.0.113.7:40000 192.0.2.10:80", "skep lb trace 203.0.113.7 192.0.2.10:80") { BuildExplain(), BuildTrace() };

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

    private static VerbCommand BuildTrace()
    {
        var client = Endpoint("client", "Address of the client, with its port or for all of its ports: 203.0.113.7, 203.0.113.7:40000, [2001:db8::7]:40000.", needsPort: false);
        var service = Endpoint("service", "Virtual address and port, for example 192.0.2.10:80.");
        var udp = new Option<bool>("--udp") { Description = "A UDP service." };
        var count = new Option<int>("--count", "-n") { Description = "Packets at most, up to 100000; 20 unless given.", HelpName = "packets", DefaultValueFactory = _ => 20 };
        var duration = new Option<string>("--for") { Description = "How long at most, up to 1h; 30s unless given.", HelpName = "duration", DefaultValueFactory = _ => "30s" };
        var verb = new VerbCommand(
            "trace",
            "Follow the packets of one client to one service through the balancer: what each was, what the tables knew of it, where it went and why. Ends after so many packets, after a time, or by Ctrl-C. With --json, a packet a line.",
            "skep lb trace 203.0.113.7 192.0.2.10:80", "skep lb trace 203.0.113.7:40000 192.0.2.10:80 --count 100 --for 2m", "skep lb trace 2001:db8::7 [2001:db8::10]:53 --udp --json")
        {
            client, service, udp, count, duration,
        };
        var agent = AgentVerb.On(verb);
        return verb.Runs((result, cancellation) => TraceAsync(
            agent, result,
            $"api/v1/trace?client={Uri.EscapeDataString(result.GetValue(client)!.ToString())}&service={Uri.EscapeDataString(result.GetValue(service)!.ToString())}&protocol={(result.GetValue(udp) ? "udp" : "tcp")}&count={result.GetValue(count).ToString(CultureInfo.InvariantCulture)}&for={Uri.EscapeDataString(result.GetValue(duration)!)}",
            cancellation));
    }

    private static async Task<int> TraceAsync(AgentVerb agent, ParseResult result, string path, CancellationToken cancellation)
    {
        using var connection = agent.Connect(result);
        var (output, wantsJson) = (result.InvocationConfiguration.Output, agent.WantsJson(result));
        var (packets, lost) = (0, 0UL);
        void Started()
        {
            if (!wantsJson)
            {
                output.WriteLine("Tracing; Ctrl-C ends it.");
                output.Flush();
            }
        }

        try
        {
            await foreach (var line in connection.PostForLinesAsync(path, Started, cancellation))
            {
                var packet = JsonSerializer.Deserialize(line, ClientJson.Default.TraceView)!;
                (packets, lost) = (packets + 1, packet.Lost);
                if (wantsJson)
                {
                    output.WriteLine(line);
                }
                else
                {
                    Show(output, packet);
                }

                output.Flush();
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // Ctrl-C: seen enough.
        }

        if (!wantsJson)
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{packets} packets{(lost > 0 ? $"; {lost} more were too many to be written down" : "")}."));
        }

        return ExitCode.Ok;
    }

    private static void Show(TextWriter output, TraceView packet)
    {
        output.WriteLine(Safe.Text(string.Create(CultureInfo.InvariantCulture, $"{packet.At.ToLocalTime():HH:mm:ss.ffffff} {packet.Direction}: {packet.Packet}: {packet.Verdict}")));
        foreach (var step in packet.Steps)
        {
            output.WriteLine(Safe.Text($"  {step}"));
        }
    }

    private static Argument<IPEndPoint?> Endpoint(string name, string description, bool needsPort = true) => new(name)
    {
        Description = description,
        CustomParser = argument =>
        {
            var text = argument.Tokens[0].Value;
            if (IPEndPoint.TryParse(text, out var endpoint) && (endpoint.Port != 0 || !needsPort))
            {
                return endpoint;
            }

            argument.AddError($"'{Safe.Text(text)}' is not an address{(needsPort ? " and a port" : "")}; write it as 192.0.2.10:80 or [2001:db8::10]:80{(needsPort ? "" : ", or without the port")}.");
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
