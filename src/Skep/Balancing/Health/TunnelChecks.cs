using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Skep.Bpf;
using Skep.Engine;
using Skep.Packets;

namespace Skep.Balancing.Health;

/// <summary>
/// Checks through tunnels. A backend that fails is asked by its own address too, so that the reason can tell one that is down from one that is not set up. Safe for concurrent
/// use.
/// </summary>
internal sealed class TunnelChecks : IDisposable
{
    private readonly Lock _gate = new();
    private volatile IReadOnlyDictionary<IpAddress, BackendPath> _hops = new Dictionary<IpAddress, BackendPath>();
    private CheckNetwork? _network;
    private BpfException? _refusal;

    /// <summary>Ways to the backends.</summary>
    public IReadOnlyDictionary<IpAddress, BackendPath> Hops
    {
        set => _hops = value;
    }

    /// <summary>One check.</summary>
    public async Task<ProbeResult> RunAsync(HealthCheck check, IPEndPoint backend, TunnelPath path, TimeProvider time, CancellationToken cancellation)
    {
        var target = new IPEndPoint(path.Vip.ToIPAddress(), backend.Port);
        if (!_hops.TryGetValue(path.Backend, out var hop))
        {
            return new(false, $"this host has no route to {path.Backend}");
        }

        if (hop.Interface == 0)
        {
            return new(false, $"the next hop on the way to {path.Backend} does not answer: look at 'ip neighbour'");
        }

        if (SourceFor(check, path, hop) is not { } source)
        {
            return new(false, $"this host has no {(path.Vip.IsIPv4 ? "IPv4" : "IPv6")} address that {path.Backend} could answer to: write one as 'source' of the health check");
        }

        CheckWay way;
        try
        {
            way = Network().Open(path, in hop, target, source);
        }
        catch (BpfException e)
        {
            // What this host cannot do says nothing of the backend.
            using var otherwise = CheckWay.ByAddress(backend, check.Source);
            var plain = await HealthProbe.RunAsync(check, otherwise, time, cancellation);
            return plain with { Reason = $"{plain.Reason} by its own address, because checks through the tunnel are not possible: {e.Message}" };
        }

        using (way)
        {
            var result = await HealthProbe.RunAsync(check, way, time, cancellation);
            return result.IsAlive ? result with { Reason = $"{result.Reason} through the tunnel" } : await CompareAsync(result, check, backend, path, source, time, cancellation);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            _network?.Dispose();
        }
    }

    private static async Task<ProbeResult> CompareAsync(
        ProbeResult failed, HealthCheck check, IPEndPoint backend, TunnelPath path, IPAddress source, TimeProvider time, CancellationToken cancellation)
    {
        using var way = CheckWay.ByAddress(backend, check.Source);
        var plain = await HealthProbe.RunAsync(check, way, time, cancellation);
        return failed with
        {
            Reason = plain.IsAlive
                ? $"{failed.Reason} through the tunnel ({path.Name}), but its own address {backend} answers ({plain.Reason}): does it {(path.Mode == ForwardingMode.L2 ? "" : "take the outer headers off, ")}"
                    + $"have {path.Vip} on its loopback device, listen on it, and have a way back to {source}?"
                : $"{failed.Reason} through the tunnel ({path.Name}), and by its own address {backend}: {plain.Reason}",
        };
    }

    private CheckNetwork Network()
    {
        lock (_gate)
        {
            if (_refusal is not null)
            {
                throw _refusal;
            }

            try
            {
                return _network ??= new CheckNetwork();
            }
            catch (BpfException e)
            {
                _refusal = e;
                throw;
            }
        }
    }

    // What outer packets come from is what a backend can answer to; of another family, an address of the interface that leads there, or of any.
    private static IPAddress? SourceFor(HealthCheck check, TunnelPath path, in BackendPath hop)
    {
        var family = path.Vip.IsIPv4 ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6;
        if (check.Source is { } given && given.AddressFamily == family)
        {
            return given;
        }

        if (path.Vip.IsIPv4 == path.Backend.IsIPv4)
        {
            return hop.SourceAddress.ToIPAddress();
        }

        var index = hop.Interface;
        var name = HostInterfaces.List().FirstOrDefault(d => d.Index == index).Name;
        return NetworkInterface.GetAllNetworkInterfaces()
            .Where(i => i.OperationalStatus == OperationalStatus.Up && i.NetworkInterfaceType != NetworkInterfaceType.Loopback)
            .OrderBy(i => i.Name != name)
            .SelectMany(i => i.GetIPProperties().UnicastAddresses).Select(a => a.Address)
            .FirstOrDefault(a => a.AddressFamily == family && !a.IsIPv6LinkLocal && !a.Equals(path.Vip.ToIPAddress()));
    }
}
