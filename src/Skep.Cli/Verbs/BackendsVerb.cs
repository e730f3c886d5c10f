using System.CommandLine;
using System.Globalization;
using Skep.Agent.Api;
using Skep.Cli.Output;
using Spectre.Console;

namespace Skep.Cli.Verbs;

/// <summary><c>skep backends</c>: who gets the connections.</summary>
internal static class BackendsVerb
{
    public static Command Build()
    {
        var verb = new VerbCommand("backends", "Show the backends of every load balancer with their weight and traffic.", "skep backends", "skep backends --json");
        var agent = AgentVerb.On(verb);
        return verb.Runs((result, cancellation) =>
            agent.ShowAsync(result, "api/v1/backends", ClientJson.Default.ListBackendView, Show, cancellation));
    }

    private static void Show(IAnsiConsole console, List<BackendView> backends)
    {
        if (backends.Count == 0)
        {
            console.WriteLine("Nothing is balanced. Declare a LoadBalancer and 'skep apply' it; 'skep schema' says what it takes.");
            return;
        }

        var table = Screen.Table("LOAD BALANCER", "SERVICE", "BACKEND", ">WEIGHT", ">SHARE", ">CONNECTIONS", ">ACTIVE", ">WAITING", ">HANDSHAKE", ">RESPONSE", ">ERRORS", ">BYTES");
        foreach (var b in backends)
        {
            table.Row(
                b.LoadBalancer, b.Service, Screen.Endpoint(b.Address, b.Port), b.Weight.ToString(CultureInfo.InvariantCulture),
                b.Share.ToString("P1", CultureInfo.InvariantCulture), Screen.Count(b.Connections), Screen.Count((ulong)b.Active),
                Screen.Count((ulong)b.Waiting), Screen.Rtt(b.HandshakeMicroseconds), Screen.Rtt(b.ResponseMicroseconds),
                Screen.Count(b.Refused + b.Resets + b.Unanswered), Screen.Bytes(b.Bytes));
        }

        console.Write(table);
    }
}
