using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using Skep.Agent.Configuration;
using Skep.Balancing;
using Skep.Balancing.Adaptive;
using Skep.Balancing.Health;
using Skep.Packets;

namespace Skep.Agent;

/// <summary>
/// Keeps the weights of services what their traffic and the health of their backends make of what is declared. Not for concurrent use.
/// </summary>
/// <param name="clock">The clock programs read.</param>
/// <param name="wall">The clock on the wall.</param>
/// <param name="monitor">Checks backends; null where that makes no sense, as with a recorded capture.</param>
/// <param name="drains">Drains that go on over a restart.</param>
internal sealed class BackendControl(TimeProvider clock, TimeProvider wall, HealthMonitor? monitor, DrainStore drains)
{
    private const int Remembered = 2000;

    private readonly long _start = clock.GetTimestamp();
    private readonly Dictionary<ServiceKey, Entry> _services = [];
    private ServiceModel[] _declared = [];

    /// <summary>What was decided of late.</summary>
    public DecisionLog Decisions { get; } = new(Remembered);

    /// <summary>Whether any service has weights that can change.</summary>
    public bool IsNeeded => _services.Count > 0;

    /// <summary>Takes declared services over and gives them with the weights that are right now. Those that are the same objects as last time are as they were.</summary>
    public IReadOnlyList<ServiceModel> Adopt(IReadOnlyList<ServiceModel> declared, Balancer balancer)
    {
        var change = ListChange.Between(_declared, declared);
        var (gone, fresh) = (_declared.AsSpan(change.Start, change.Before).ToArray(), declared.Skip(change.Start).Take(change.After).ToArray());
        var keep = fresh.Where(IsDynamic).Select(s => s.Key).ToHashSet();
        foreach (var service in gone.Where(s => !keep.Contains(s.Key)))
        {
            _services.Remove(service.Key);
        }

        _declared = [.. declared];
        ForgetDrains();
        if (gone.Concat(fresh).Any(s => s.Health is not null))
        {
            monitor?.Watch(from service in declared where service.Health is not null from b in service.Backends where !b.Drain select (TargetOf(service, b), service.Health!));
        }

        var models = new ServiceModel[declared.Count];
        for (var i = 0; i < models.Length; i++)
        {
            var isFresh = i >= change.Start && i < change.Start + change.After;
            models[i] = isFresh && keep.Contains(declared[i].Key) ? Adopt(declared[i], balancer)
                : !isFresh && _services.Count > 0 && _services.TryGetValue(declared[i].Key, out var entry) ? entry.InForce
                : declared[i];
        }

        return models;
    }

    /// <summary>Looks at all services and changes what is to be changed; to be called every quarter of a second.</summary>
    public void Step(Balancer balancer, ConnectionTable connections)
    {
        foreach (var entry in _services.Values)
        {
            var model = Step(entry, balancer);
            if (!Same(entry.InForce, model))
            {
                entry.InForce = model;
                balancer.Update(model);
            }

            EndDrains(entry, balancer, connections);
        }
    }

    /// <summary>How long it is until the drain of a backend ends; null when it does not, or is none.</summary>
    public TimeSpan? DrainLeft(ServiceModel service, BackendModel backend) =>
        backend is { Drain: true, DrainFor: { } length } && _services.TryGetValue(service.Key, out var entry) && entry.Drains.TryGetValue((backend.Address, backend.Port), out var drain)
            ? length - (Now - drain.Since)
            : null;

    private TimeSpan Now => clock.GetElapsedTime(_start);

    private static bool IsDynamic(ServiceModel service) => service.Policy.IsDynamic || service.Health is not null || service.Backends.Any(b => b is { Drain: true, DrainFor: not null });

    private static CheckTarget TargetOf(ServiceModel service, BackendModel backend) => new(
        new IPEndPoint(backend.Address.ToIPAddress(), backend.Port),
        service.Health is { Through: CheckThrough.Tunnel } && service.Forwarding != ForwardingMode.Nat ? new TunnelPath(backend.Address, service.Forwarding, service.Address) : null);

    private ServiceModel Adopt(ServiceModel service, Balancer balancer)
    {
        if (!_services.TryGetValue(service.Key, out var entry))
        {
            _services.Add(service.Key, entry = new Entry(service));
            if (balancer.Services.IsEmpty)
            {
                // An agent starts: the ring holds what the one before had come to. Later it is only what was declared before.
                entry.Controller.Seed(service, balancer.SharesOf(service.Key));
            }
        }

        entry.Declared = service;
        BeginDrains(entry);
        return entry.InForce = Step(entry, balancer);
    }

    private ServiceModel Step(Entry entry, Balancer balancer)
    {
        var key = entry.Declared.Key;
        var (model, decisions) = entry.Controller.Step(
            Now, WithHealth(entry.Declared),
            b => balancer.TryGetId(key, b.Address, b.Port, out var id) ? balancer.ReadingOf(id) : default);
        Note(model, decisions);
        return model;
    }

    private void Note(ServiceModel model, ImmutableArray<WeightDecision> decisions)
    {
        foreach (var decision in decisions)
        {
            Decisions.Add(wall.GetUtcNow(), model, decision);
        }
    }

    private ServiceModel WithHealth(ServiceModel declared) => monitor is null || declared.Health is not { } check ? declared : declared with
    {
        Backends =
        [
            .. declared.Backends.Select(b =>
            {
                var state = monitor.StateOf(TargetOf(declared, b), check);
                return b with { Alive = state.IsAlive, AliveReason = state.Reason, CheckSeconds = state.Seconds, ChecksTimed = state.Timed };
            }),
        ],
    };

    // On disk before they are in force: an agent that is killed right after knows them.
    private void BeginDrains(Entry entry)
    {
        var service = entry.Declared;
        var wanted = service.Backends.Where(b => b is { Drain: true, DrainFor: not null }).ToDictionary(b => (b.Address, b.Port));
        foreach (var place in entry.Drains.Keys.Where(p => !wanted.ContainsKey(p)).ToArray())
        {
            entry.Drains.Remove(place);
        }

        foreach (var place in wanted.Keys.Where(p => !entry.Drains.ContainsKey(p)))
        {
            var (lasted, isOver) = drains.Begin(service.Endpoint, EndpointText.Of(place.Address, place.Port));
            entry.Drains.Add(place, (Now - lasted, isOver));
        }
    }

    private void ForgetDrains()
    {
        if (!drains.IsEmpty)
        {
            var wanted = (from service in _declared from backend in service.Backends where backend is { Drain: true, DrainFor: not null }
                          select (service.Endpoint, EndpointText.Of(backend.Address, backend.Port))).ToHashSet();
            drains.Keep((service, backend) => wanted.Contains((service, backend)));
        }
    }

    private void EndDrains(Entry entry, Balancer balancer, ConnectionTable connections)
    {
        foreach (var backend in entry.Declared.Backends)
        {
            var place = (backend.Address, backend.Port);
            if (backend is { Drain: true, DrainFor: { } length } && entry.Drains.TryGetValue(place, out var drain)
                && !drain.IsOver && Now - drain.Since >= length && balancer.TryGetId(entry.Declared.Key, backend.Address, backend.Port, out var id))
            {
                entry.Drains[place] = (drain.Since, true);
                var cut = connections.Cut(id);
                drains.End(entry.Declared.Endpoint, EndpointText.Of(backend.Address, backend.Port));
                Note(entry.Declared, [new WeightDecision(backend.Address, backend.Port, DecisionKind.Cut, 0, 0, string.Create(
                    CultureInfo.InvariantCulture, $"its drain of {Skep.Resources.Duration.Format(length)} is over; {cut} connections were left and are cut"))]);
            }
        }
    }

    private static bool Same(ServiceModel before, ServiceModel after) =>
        before.Backends.Length == after.Backends.Length
        && before.Backends.Zip(after.Backends).All(p => p.First.TakesConnections == p.Second.TakesConnections && p.First.RingWeight == p.Second.RingWeight);

    private sealed class Entry(ServiceModel declared)
    {
        public ServiceModel Declared { get; set; } = declared;

        public ServiceModel InForce { get; set; } = declared;

        public ServiceController Controller { get; } = new();

        public Dictionary<(IpAddress, ushort), (TimeSpan Since, bool IsOver)> Drains { get; } = [];
    }
}
