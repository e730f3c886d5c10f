using System.Net;
using Skep.Cli.Lab.Load;
using Skep.Cli.Lab.Services;

namespace Skep.Cli.Lab.Rows;

/// <summary>The ground the other rows stand on: every service answers through the edge when it is asked directly.</summary>
internal sealed class RoutingRow : LabRow
{
    private const int Requests = 20;

    internal override string Name => "routing";

    internal override string Title => "Clients reach every service through the edge";

    internal override async Task RunAsync(LabContext lab, LabChecks checks, CancellationToken cancellation)
    {
        foreach (var (version, address) in new (string, Func<Network.LabNode, IPAddress>)[] { ("IPv4", s => s.V4[0]), ("IPv6", s => s.V6[0]) })
        {
            var answers = 0;
            foreach (var service in lab.Network.Services)
            {
                var http = await new HttpLoad(lab.Network.Clients, new IPEndPoint(address(service), WebService.Port), lab.Time).RunAsync(Requests, cancellation);
                var udp = await new UdpLoad(lab.Network.Clients, new IPEndPoint(address(service), EchoService.Port), lab.Time).RunAsync(Requests, cancellation);
                answers += http.From(service.Device) + udp.From(service.Device);
            }

            var expected = 2 * Requests * lab.Network.Services.Count;
            checks.That($"{version}: HTTP and UDP answers by the service asked", answers == expected, $"{expected}", $"{answers}");
        }
    }
}
