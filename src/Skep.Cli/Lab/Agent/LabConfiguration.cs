using System.Globalization;
using System.Text;
using Skep.Cli.Lab.Network;
using Skep.Cli.Lab.Services;

namespace Skep.Cli.Lab.Agent;

/// <summary>The resources the agent of the lab runs with; a row changes a copy and applies it.</summary>
internal sealed record LabConfiguration
{
    internal const int WebPort = 80;
    internal const int EchoPort = 53;
    internal const int SinkPort = 9000;
    internal const int MoodyPort = 8000;

    /// <summary>Weights of svc1, svc2 and svc3. 0 drains a service, null takes it out of the file.</summary>
    internal IReadOnlyList<int?> Weights { get; init; } = [5, 3, 2];

    /// <summary>More fields of the load balancer's spec, one a line.</summary>
    internal IReadOnlyList<string> Spec { get; init; } = [];

    /// <summary>More fields of the backends of svc1, svc2 and svc3.</summary>
    internal IReadOnlyList<string> Backends { get; init; } = ["", "", ""];

    /// <summary>Packets per second and burst of every source that sends to the clients' or the attacker's side of the edge.</summary>
    internal (int PacketsPerSecond, int Burst)? RateLimit { get; init; }

    internal string ToYaml(LabTopology network)
    {
        var yaml = new StringBuilder();
        yaml.AppendLine(CultureInfo.InvariantCulture, $$"""
            apiVersion: skep.dev/v1
            kind: LoadBalancer
            metadata: {name: lab}
            spec:
              interfaces: [{{string.Join(", ", network.EdgeDevices)}}]
              addresses: ["{{LabTopology.VirtualV4}}", "{{LabTopology.VirtualV6}}"]
              ports:
                - {port: {{WebPort}}, targetPort: {{WebService.Port}}}
                - {port: {{EchoPort}}, protocol: UDP, targetPort: {{EchoService.Port}}}
                - {port: {{SinkPort}}, targetPort: {{SinkService.Port}}}
                - {port: {{MoodyPort}}, targetPort: {{MoodyService.Port}}}
            """);
        foreach (var field in Spec)
        {
            yaml.AppendLine(CultureInfo.InvariantCulture, $"  {field}");
        }

        yaml.AppendLine("  backends:");
        foreach (var (service, weight, more) in network.Services.Zip(Weights, Backends).Where(s => s.Second is not null))
        {
            var rest = more.Length > 0 ? $", {more}" : "";
            yaml.AppendLine(CultureInfo.InvariantCulture, $$"""
                    - {address: "{{service.V4[0]}}", weight: {{weight}}{{rest}}}
                    - {address: "{{service.V6[0]}}", weight: {{weight}}{{rest}}}
                """);
        }

        if (RateLimit is { } limit)
        {
            yaml.AppendLine(CultureInfo.InvariantCulture, $$"""
                ---
                apiVersion: skep.dev/v1
                kind: RateLimit
                metadata: {name: per-source}
                spec:
                  interfaces: [{{network.Clients.Device}}, {{network.Attacker.Device}}]
                  packetsPerSecond: {{limit.PacketsPerSecond}}
                  burst: {{limit.Burst}}
                """);
        }

        return yaml.ToString();
    }
}
