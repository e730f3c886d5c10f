using System.Collections.Immutable;
using Skep.Bpf;
using Skep.Bpf.Features;
using Skep.Bpf.Maps;

namespace Skep.Balancing.Sockets;

/// <summary>User half of balancing at the socket: the programs, and which services sockets of this host are balanced to.</summary>
public sealed class SocketBalancer
{
    // bpf_set_retval
    private static readonly Version s_saysWhy = new(5, 18);

    private readonly SocketMaps _maps;

    /// <summary>A balancer over maps that are bound.</summary>
    public SocketBalancer(BalancerMaps maps, SocketMaps sockets)
    {
        ArgumentNullException.ThrowIfNull(sockets);
        _maps = sockets;
        Programs = [.. Enum.GetValues<SocketHook>().Select(hook => new SocketBalancerProgram(maps, sockets, hook, FeatureProbe.RunningKernel >= s_saysWhy))];
    }

    /// <summary>What sockets were given.</summary>
    internal BpfMap Peers => _maps.Peers;

    /// <summary>A program for every hook.</summary>
    public ImmutableArray<SocketBalancerProgram> Programs { get; }

    /// <summary>
    /// Makes <paramref name="services"/> all that sockets of this host are balanced to; returns what could not be done. Services that go are reached as any
    /// other address from then on; what sockets were given stays.
    /// </summary>
    public ImmutableArray<string> Apply(IReadOnlyCollection<ServiceModel> services)
    {
        ArgumentNullException.ThrowIfNull(services);
        var problems = ImmutableArray.CreateBuilder<string>();
        var wanted = new HashSet<ServiceKey>();
        foreach (var service in services)
        {
            var key = service.Key;
            if (wanted.Add(key) && _maps.Services.TrySet(in key, 1u) is < 0 and var status)
            {
                problems.Add($"{service.Name}: {service.Endpoint} is not balanced for this host's own processes ({Errno.NameOf(status)})");
            }
        }

        foreach (var key in _maps.Services.Keys.Where(k => !wanted.Contains(k)).ToArray())
        {
            _maps.Services.Remove(in key);
        }

        return problems.ToImmutable();
    }
}
