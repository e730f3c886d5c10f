using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Skep.Bpf;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// User half of the balancer: makes the maps say what a model says. Programs never see a half-written state: backends and the unused ring are written
/// first, then the service entry is replaced in one step, and what is no longer needed is removed last. Not for concurrent use.
/// </summary>
public sealed class Balancer
{
    private readonly BalancerMaps _maps;
    private readonly RingWriter _rings;
    private readonly IdTable<ServiceKey> _services;
    private readonly IdTable<BackendKey> _backends;
    private readonly Dictionary<ServiceKey, ServiceEntry> _entries = [];

    /// <summary>A balancer over maps that are bound; numbers that an earlier agent gave are read from them and kept.</summary>
    /// <exception cref="BpfException">The kernel refused to read.</exception>
    public Balancer(BalancerMaps maps)
    {
        ArgumentNullException.ThrowIfNull(maps);
        _maps = maps;
        _rings = new RingWriter(maps);
        _services = new(0, maps.MaxServices - 1);
        _backends = new(1, maps.Backends.MaxEntries - 1);
        maps.Services.ReadAll((key, entry) =>
        {
            _entries[key] = entry;
            if (entry.Id != ServiceEntry.AddressOnly)
            {
                _services.Adopt(key, entry.Id);
            }
        });
        maps.Backends.ReadAll((id, entry) =>
        {
            if (entry.InUse != 0)
            {
                _backends.Adopt(new BackendKey(entry.Service, entry.Address, entry.Port.Value), id);
            }
        });
    }

    /// <summary>What is in effect since the last <see cref="Apply"/>; empty before the first.</summary>
    public ImmutableArray<ServiceState> Services { get; private set; } = [];

    /// <summary>
    /// Makes <paramref name="services"/> all there is. What cannot be done is reported and left as it was or left out; the rest takes effect.
    /// Connections of removed TCP backends live on until they end; those of removed UDP backends are given away anew.
    /// </summary>
    public ImmutableArray<BalancerProblem> Apply(IReadOnlyList<ServiceModel> services)
    {
        ArgumentNullException.ThrowIfNull(services);
        var problems = ImmutableArray.CreateBuilder<BalancerProblem>();
        var wanted = new HashSet<ServiceKey>();
        var states = ImmutableArray.CreateBuilder<ServiceState>();
        var keptBackends = new HashSet<BackendKey>();
        foreach (var service in services)
        {
            if (!wanted.Add(service.Key))
            {
                problems.Add(new(BalancerProblemKind.OverlappingServices, service,
                    $"{service.Name}: {service.Endpoint} belongs to '{services.First(s => s.Key.Equals(service.Key)).Name}' already."));
            }
            else if (ApplyService(service, keptBackends, problems) is { } state)
            {
                states.Add(state);
            }
        }

        RemoveServices(wanted);
        RemoveBackends(keptBackends);
        Services = states.ToImmutable();
        return problems.ToImmutable();
    }

    /// <summary>Traffic of a backend over all CPUs since it was added.</summary>
    public BackendTraffic TrafficOf(ushort backendId)
    {
        _maps.BackendCounters.TryGet(backendId, out var perCpu);
        var sum = default(BackendTraffic);
        foreach (var counter in perCpu)
        {
            sum = new BackendTraffic(
                sum.Connections + counter.Connections,
                sum.Packets + counter.Packets,
                sum.Bytes + counter.Bytes,
                sum.ReplyPackets + counter.ReplyPackets,
                sum.ReplyBytes + counter.ReplyBytes);
        }

        return sum;
    }

    private ServiceState? ApplyService(ServiceModel service, HashSet<BackendKey> kept, ImmutableArray<BalancerProblem>.Builder problems)
    {
        void Report(BalancerProblemKind kind, string message) => problems.Add(new(kind, service, $"{service.Name}: {message}"));

        var key = service.Key;
        if (!_services.TryGetOrAdd(key, out var id, out var isNew))
        {
            Report(BalancerProblemKind.TooManyServices, $"{service.Endpoint} finds no room, {_maps.MaxServices} services exist; raise MaxServices.");
            return null;
        }

        var members = TakeBackends(service, id, kept, Report);
        if (members.All(m => !m.Model.TakesConnections))
        {
            Report(BalancerProblemKind.NoBackend, $"{service.Endpoint} has no backend that takes connections ({members.Count} are drained or dead); new connections are refused.");
        }

        var ring = Maglev.Build(
            [.. members.Where(m => m.Model.TakesConnections).Select(m => new RingMember(m.Id, m.Model.Address, m.Model.Port, m.Model.Weight))], _maps.RingSize);
        var status = WriteService(key, id, ring);
        if (status < 0)
        {
            Report(BalancerProblemKind.WriteFailed, $"{service.Endpoint} could not be written ({Errno.NameOf(status)}); it stays as it was.");
            if (isNew)
            {
                _services.Release(key);
            }

            return null;
        }

        var slots = ring.CountBy(slot => slot).ToDictionary();
        return new ServiceState(
            id, service, [.. members.Select(m => new BackendState(m.Id, m.Model, slots.GetValueOrDefault(m.Id) / (double)ring.Length))]);
    }

    private List<(ushort Id, BackendModel Model)> TakeBackends(
        ServiceModel service, uint serviceId, HashSet<BackendKey> kept, Action<BalancerProblemKind, string> report)
    {
        var members = new List<(ushort, BackendModel)>();
        foreach (var backend in service.Backends)
        {
            var text = EndpointText.Of(backend.Address, backend.Port);
            var key = new BackendKey(serviceId, backend.Address, backend.Port);
            if (backend.Address.IsIPv4 != service.Address.IsIPv4)
            {
                report(BalancerProblemKind.FamilyMismatch, $"backend {text} is not of the family of {service.Address}; it is left out.");
            }
            else if (!kept.Add(key))
            {
                report(BalancerProblemKind.DuplicateBackend, $"backend {text} is listed twice; the first one counts.");
            }
            else if (!_backends.TryGetOrAdd(key, out var id, out var isNew))
            {
                kept.Remove(key);
                report(BalancerProblemKind.TooManyBackends, $"backend {text} finds no room, {_maps.Backends.MaxEntries - 1} backends exist; raise MaxBackends.");
            }
            else
            {
                if (isNew)
                {
                    _maps.BackendCounters.Set(id, default);
                }

                var entry = new BackendEntry { Address = backend.Address, Port = NetworkUInt16.From(backend.Port), InUse = 1, Service = serviceId };
                _maps.Backends.Set(id, in entry);
                members.Add(((ushort)id, backend));
            }
        }

        return members;
    }

    private int WriteService(ServiceKey key, uint id, ushort[] ring)
    {
        var half = 0u;
        if (_entries.TryGetValue(key, out var current))
        {
            if (_rings.Holds(current.RingStart, ring))
            {
                return 0;
            }

            half = 1 - _rings.HalfOf(id, current.RingStart);
        }

        var start = _rings.StartOf(id, half);
        var status = _rings.Write(start, ring);
        var entry = new ServiceEntry { Id = id, RingStart = start };
        var address = new ServiceKey { Address = key.Address };
        var addressEntry = new ServiceEntry { Id = ServiceEntry.AddressOnly };
        if (status == 0 && !_entries.ContainsKey(address) && (status = _maps.Services.TrySet(in address, in addressEntry)) == 0)
        {
            _entries[address] = addressEntry;
        }

        if (status == 0 && (status = _maps.Services.TrySet(in key, in entry)) == 0)
        {
            _entries[key] = entry;
        }

        return status;
    }

    private void RemoveServices(HashSet<ServiceKey> wanted)
    {
        Remove(_entries.Where(e => e.Value.Id != ServiceEntry.AddressOnly && !wanted.Contains(e.Key)));
        var addresses = _entries.Where(e => e.Value.Id != ServiceEntry.AddressOnly).Select(e => e.Key.Address).ToHashSet();
        Remove(_entries.Where(e => e.Value.Id == ServiceEntry.AddressOnly && !addresses.Contains(e.Key.Address)));

        void Remove(IEnumerable<KeyValuePair<ServiceKey, ServiceEntry>> entries)
        {
            foreach (var (key, _) in entries.ToArray())
            {
                _maps.Services.Remove(in key);
                _entries.Remove(key);
                _services.Release(key);
            }
        }
    }

    private void RemoveBackends(HashSet<BackendKey> kept)
    {
        var removed = new HashSet<uint>();
        foreach (var key in _backends.Keys.Where(k => !kept.Contains(k)).ToArray())
        {
            _backends.TryGet(key, out var id);
            removed.Add(id);
            _maps.Backends.Set(id, default);
            _backends.Release(key);
        }

        if (removed.Count == 0)
        {
            return;
        }

        var stale = new List<ConnectionKey>();
        _maps.Connections.ReadAll((key, connection) =>
        {
            if (key.Protocol == (uint)IpProtocol.Udp && removed.Contains(connection.Backend))
            {
                stale.Add(key);
            }
        });
        foreach (ref readonly var key in CollectionsMarshal.AsSpan(stale))
        {
            _maps.Connections.Remove(in key);
        }
    }

    private readonly record struct BackendKey(uint Service, IpAddress Address, ushort Port);
}
