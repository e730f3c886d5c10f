using System.Net;
using System.Net.Sockets;
using Skep.Cli.Lab.Network;

namespace Skep.Cli.Lab.Services;

/// <summary>Everything that runs on the three service hosts.</summary>
internal sealed class LabServices : IDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(5);

    private readonly List<IDisposable> _running = [];

    internal required IReadOnlyList<LabProcess> Web { get; init; }

    internal required IReadOnlyList<EchoService> Echo { get; init; }

    internal required IReadOnlyList<MoodyService> Moody { get; init; }

    /// <summary>Starts them and returns when every web server accepts connections.</summary>
    internal static async Task<LabServices> StartAsync(LabJournal journal, LabTopology network, TimeProvider time, CancellationToken cancellation)
    {
        var web = network.Services.Select(s => WebService.Start(journal, s)).ToArray();
        var services = new LabServices { Web = web, Echo = [.. network.Services.Select(s => new EchoService(s))], Moody = [.. network.Services.Select(s => new MoodyService(s, time))] };
        services._running.AddRange(web);
        services._running.AddRange(services.Echo);
        services._running.AddRange(services.Moody);
        services._running.AddRange(network.Services.Select(s => new SinkService(s)));
        try
        {
            foreach (var (host, process) in network.Services.Zip(web))
            {
                var listens = await Waiting.UntilAsync(() => process.HasExited || Accepts(host), StartLimit, time, cancellation);
                if (!listens || process.HasExited)
                {
                    throw new LabException($"nginx on {host.Device} does not listen: {process.Tail(5)}");
                }
            }
        }
        catch
        {
            services.Dispose();
            throw;
        }

        return services;
    }

    private static bool Accepts(LabNode host)
    {
        using var socket = host.Namespace.CreateSocket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Connect(new IPEndPoint(host.V6[0], WebService.Port));
            return true;
        }
        catch (SocketException)
        {
            return false; // Not yet.
        }
    }

    public void Dispose()
    {
        foreach (var service in _running)
        {
            service.Dispose();
        }
    }
}
