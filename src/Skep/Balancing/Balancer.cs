using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Skep.Bpf;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// User half of the balancer: makes the maps say what a model says. Programs never see a half-written state: new backends are written first, then
/// the slots of the ring that change hands, one store each, and backends that are no longer needed are removed last. Not for concurrent use.
/// </summary>
public sealed partial class Balancer
{
    private readonly BalancerMaps _maps;
    private readonly RingTable _rings;
    private readonly Tracker _tracker;
    private readonly IdPool _serviceIds;
    private readonly IdPool _backendIds;
    private readonly Dictionary<ServiceKey, Served> _served = [];
    private readonly Dictionary<IpAddress, int> _servicesOfAddress = [];
    private readonly KnownAddressTable _known;
    private readonly List<uint> _fresh = [];
    private readonly HashSet<uint> _removedUdp = [];

    // The list of last time as long as all of it is in effect: then states of services are at the same places. Else empty.
    private ServiceModel[] _applied = [];
    private int _troubled;

    /// <summary>A balancer over maps that are bound; numbers that an earlier agent gave are read from them and kept, and so are the rings.</summary>
    /// <exception cref="BpfException">The kernel refused to read.</exception>
    public Balancer(BalancerMaps maps)
    {
        ArgumentNullException.ThrowIfNull(maps);
        _maps = maps;
        _rings = new RingTable(maps);
        _tracker = new Tracker(maps, translates: true);
        _serviceIds = new(0, maps.MaxServices - 1);
        _backendIds = new(1, maps.Backends.MaxEntries - 1);
        _vips = new VipTable(maps.Direct.Vips);
        _quicServers = new VipTable(maps.Direct.QuicServers);
        _quicServices = [.. _quicServers.Entries.Select(s => s.Key & 0xFFFF)];
        _known = new KnownAddressTable(maps);
        Adopt();
        _translatesSources = HasTranslated();
    }

    /// <summary>Rows that rings have.</summary>
    internal uint RingRowsInUse => _rings.RowsInUse;

    /// <summary>What is in effect since the last <see cref="Apply"/>; empty before the first.</summary>
    public ImmutableArray<ServiceState> Services { get; private set; } = [];

    /// <summary>
    /// Makes <paramref name="services"/> all there is. What cannot be done is reported and left as it was or left out; the rest takes effect.
    /// Connections of removed TCP backends live on until they end; those of removed UDP backends are given away anew. What it costs goes by what changed: models that are
    /// the very objects of last time, in the same order, cost nothing.
    /// </summary>
    public ImmutableArray<BalancerProblem> Apply(IReadOnlyList<ServiceModel> services)
    {
        ArgumentNullException.ThrowIfNull(services);
        var problems = ImmutableArray.CreateBuilder<BalancerProblem>();
        var change = ListChange.Between(_applied, services);
        var wanted = new Dictionary<ServiceKey, ServiceModel>(change.After);
        if (!TryTake(services, change, wanted, problems))
        {
            // One of those that changed has the key of one that did not: who comes first shows when all are looked at.
            change = new ListChange(0, _applied.Length, services.Count);
            wanted.Clear();
            problems.Clear();
            TryTake(services, change, wanted, problems);
        }

        var hasOtherSizes = false;
        foreach (var key in Leaving(change, wanted))
        {
            Remove(key, _served[key]);
            hasOtherSizes = true;
        }

        if (hasOtherSizes || wanted.Any(w => !_served.TryGetValue(w.Key, out var served) || served.Members.Length != w.Value.Backends.Length || served.Ring.HasFormer != HasSecondChance(w.Value)))
        {
            _rings.Sizes.Fit([.. services.SelectMany(s => Enumerable.Repeat(s.Backends.Length, HasSecondChance(s) ? 2 : 1))]);
        }

        var states = ImmutableArray.CreateBuilder<ServiceState>(services.Count);
        var same = services.Count - change.Start - change.After;
        var (first, last) = (Services[..change.Start], Services[^same..]);
        Take(first);
        foreach (var (key, service) in wanted)
        {
            if (_served.TryGetValue(key, out var served) && ReferenceEquals(served.State?.Model, service))
            {
                problems.AddRange(served.Problems);
                states.Add(served.State);
            }
            else if (ApplyService(service, problems) is { } state)
            {
                states.Add(state);
            }
        }

        Take(last);
        Finish();
        Services = states.DrainToImmutable();
        Refresh();

        // As long as something is left out the lists do not go together, and next time all of it is looked at.
        _applied = Services.Length == services.Count ? [.. services] : [];
        return problems.ToImmutable();

        void Take(ImmutableArray<ServiceState> unchanged)
        {
            states.AddRange(unchanged);
            if (_troubled > 0)
            {
                problems.AddRange(unchanged.SelectMany(s => _served[s.Model.Key].Problems));
            }
        }
    }

    /// <summary>
    /// Makes one service of those in effect what <paramref name="service"/> says, as <see cref="Apply"/> does with all; for changes of weights,
    /// which come often. Nothing happens when there is no such service.
    /// </summary>
    public ImmutableArray<BalancerProblem> Update(ServiceModel service)
    {
        ArgumentNullException.ThrowIfNull(service);
        var before = _served.TryGetValue(service.Key, out var served) ? served.State : null;
        var at = before is null ? -1 : Services.AsSpan().IndexOf(before, ReferenceEqualityComparer.Instance);
        if (at < 0)
        {
            return [];
        }

        var problems = ImmutableArray.CreateBuilder<BalancerProblem>();
        if (ApplyService(service, problems) is { } state)
        {
            Services = Services.SetItem(at, state);
            if (_applied.Length > 0)
            {
                _applied[at] = service;
            }
        }
        else
        {
            Services = Services.RemoveAt(at);
            _applied = [];
        }

        Refresh();

        Finish();
        return problems.ToImmutable();
    }

    // The services of a change by key; of several with one key the first one. False when a key belongs to a service that is not part of the change.
    private bool TryTake(
        IReadOnlyList<ServiceModel> services, ListChange change, Dictionary<ServiceKey, ServiceModel> wanted, ImmutableArray<BalancerProblem>.Builder problems)
    {
        var isAll = change.After == services.Count;
        var before = isAll ? [] : _applied.AsSpan(change.Start, change.Before).ToArray().Select(s => s.Key).ToHashSet();
        for (var i = change.Start; i < change.Start + change.After; i++)
        {
            var service = services[i];
            if (!isAll && !before.Contains(service.Key) && _served.ContainsKey(service.Key))
            {
                return false;
            }

            if (!wanted.TryAdd(service.Key, service))
            {
                problems.Add(new(BalancerProblemKind.OverlappingServices, service,
                    $"{service.Name}: {service.Endpoint} belongs to '{wanted[service.Key].Name}' already."));
            }
        }

        return true;
    }

    private ServiceKey[] Leaving(ListChange change, Dictionary<ServiceKey, ServiceModel> wanted)
    {
        // Without a list of last time, the maps say what there was.
        var before = _applied.Length == 0 ? _served.Keys : _applied.Skip(change.Start).Take(change.Before).Select(s => s.Key);
        return [.. before.Where(k => !wanted.ContainsKey(k))];
    }

    /// <summary>Traffic of a backend over all CPUs since it was added.</summary>
    public BackendTraffic TrafficOf(uint backendId)
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

    /// <summary>What packets told about a backend since it was added; nothing when nothing is measured.</summary>
    public BackendReading ReadingOf(uint backendId)
    {
        _maps.Signals.TryGet(backendId, out var perCpu);
        var reading = BackendReading.Of(perCpu);
        return _tunnels.ContainsKey(backendId) && _maps.Direct.Sampled.TryGet(backendId, out var sampled) ? reading.With(sampled) : reading;
    }

    /// <summary>
    /// The live counts of a backend's times: <see cref="BackendHistograms.Buckets"/> of handshakes, then as many of responses; empty when nothing is measured.
    /// </summary>
    public ReadOnlySpan<ulong> HistogramsOf(uint backendId) => _maps.Signals.MaxEntries > 1
        ? _maps.Histograms.Entries.Slice((int)backendId * BackendHistograms.PerBackend, BackendHistograms.PerBackend)
        : [];

    private ServiceState? ApplyService(ServiceModel service, ImmutableArray<BalancerProblem>.Builder problems)
    {
        void Report(BalancerProblemKind kind, string message) => problems.Add(new(kind, service, $"{service.Name}: {message}"));

        var key = service.Key;
        if (!_served.TryGetValue(key, out var served))
        {
            if (!_serviceIds.TryTake(out var id))
            {
                Report(BalancerProblemKind.TooManyServices, $"{service.Endpoint} finds no room, {_maps.MaxServices} services exist; ask for more 'services' in a TableSizes resource.");
                return null;
            }

            served = new Served { Id = id };
        }
        var before = problems.Count;
        var (members, removed) = TakeBackends(service, served, Report);
        _known.Add(new(key.Address, IsService: true));
        if (service.Forwarding == ForwardingMode.Nat)
        {
            members.ForEach(m => _known.Add(new(m.Model.Address, IsService: false)));
        }

        ZeroCounters();
        if (members.TrueForAll(m => !m.Model.TakesConnections))
        {
            Report(BalancerProblemKind.NoBackend, $"{service.Endpoint} has no backend that takes connections ({members.Count} are drained or dead); new connections are refused.");
        }

        foreach (var (member, model) in members)
        {
            ref var entry = ref _maps.Backends.Entries[(int)member.Id];
            (entry.Weight, entry.Group) = (model.TakesConnections ? (uint)model.RingWeight : 0, model.Canary ? 1u : 0u);
        }

        served.ClientFlags = WriteClients(service, served, Report);
        served.TranslationFlags = WriteTranslation(service, served, members.Select(m => m.Model.Address), Report);
        WriteLimits(service, served.Id);
        if (service.Forwarding != ForwardingMode.Nat)
        {
            WriteTunnels(service, served.Id, members, Report);
            WriteQuicServers(service, served.Id, members, Report);
        }

        var ringMembers = MembersOf(members.Select(m => (m.Member.Id, m.Model)));
        var quotas = new int[ringMembers.Length];
        if (!TryWriteRing(service, served, ringMembers, quotas, out var status))
        {
            Report(
                status == 0 ? BalancerProblemKind.TooManySlots : BalancerProblemKind.WriteFailed,
                status == 0
                    ? $"{service.Endpoint} finds no room for its ring, {_maps.Ring.MaxEntries} rows are taken; ask for more 'ringRows' in a TableSizes resource."
                    : $"{service.Endpoint} could not be written ({Errno.NameOf(status)}); it is left out.");
            served.Members = [.. members.Select(m => m.Member), .. removed];
            LeaveOut(key, served);
            return null;
        }

        if (HasSecondChance(service) && !served.Ring.HasFormer)
        {
            Report(BalancerProblemKind.TooManySlots, $"{service.Endpoint} finds no room to remember who had its slots before; its connections have no second chance. Ask for more 'ringRows' in a TableSizes resource.");
        }

        served.Members = [.. members.Select(m => m.Member)];
        RemoveBackends(removed, service.Protocol);
        var share = new Dictionary<uint, double>(quotas.Length);
        for (var i = 0; i < quotas.Length; i++)
        {
            share[ringMembers[i].Id] = quotas[i] / (double)served.Ring.Slots;
        }

        _served[key] = served;
        served.State = new ServiceState(
            served.Id, service, [.. members.Select(m => new BackendState(m.Member.Id, m.Model, share[m.Member.Id]))], served.Ring.Slots);
        _troubled -= served.Problems.IsEmpty ? 0 : 1;
        served.Problems = [.. problems.Skip(before)];
        _troubled += served.Problems.IsEmpty ? 0 : 1;
        return served.State;
    }

    // Members in the order of the model, those there were by their old ids; and members that the model does not name.
    private (List<(Member Member, BackendModel Model)> Members, Member[] Removed) TakeBackends(
        ServiceModel service, Served served, Action<BalancerProblemKind, string> report)
    {
        var known = served.Members.ToDictionary(m => (m.Address, m.Port));
        var taken = new HashSet<(IpAddress, ushort)>(service.Backends.Length);
        var members = new List<(Member, BackendModel)>(service.Backends.Length);
        foreach (var backend in service.Backends)
        {
            var place = (backend.Address, backend.Port);
            if (backend.Address.IsIPv4 != service.Address.IsIPv4 && service.Forwarding is ForwardingMode.Nat or ForwardingMode.L2)
            {
                report(BalancerProblemKind.FamilyMismatch,
                    $"backend {EndpointText.Of(backend.Address, backend.Port)} is not of the family of {service.Address}; it is left out.");
            }
            else if (!taken.Add(place))
            {
                report(BalancerProblemKind.DuplicateBackend,
                    $"backend {EndpointText.Of(backend.Address, backend.Port)} is listed twice; the first one counts.");
            }
            else if (known.Remove(place, out var member))
            {
                members.Add((member, backend));
            }
            else if (!_backendIds.TryTake(out var id))
            {
                report(BalancerProblemKind.TooManyBackends,
                    $"backend {EndpointText.Of(backend.Address, backend.Port)} finds no room, {_maps.Backends.MaxEntries - 1} backends exist; ask for more 'backends' in a TableSizes resource.");
            }
            else
            {
                // No ring names it before its counters are zeroed and its ring is written.
                _fresh.Add(id);
                _maps.Backends.Entries[(int)id] = new BackendEntry
                {
                    Address = backend.Address,
                    Port = NetworkUInt16.From(backend.Port),
                    InUse = 1,
                    Service = served.Id,
                };
                members.Add((new Member(backend.Address, backend.Port, id), backend));
            }
        }

        return (members, [.. known.Values]);
    }

    // What an earlier backend of the number left behind.
    private void ZeroCounters()
    {
        if (_fresh.Count > 0)
        {
            _maps.BackendCounters.SetAll(CollectionsMarshal.AsSpan(_fresh), new BackendCounter[_fresh.Count * _maps.BackendCounters.Storage.ValuesPerEntry]);
            if (_maps.Signals.MaxEntries > 1)
            {
                _maps.Signals.SetAll(CollectionsMarshal.AsSpan(_fresh), new BackendSignals[_fresh.Count * _maps.Signals.Storage.ValuesPerEntry]);
                uint[] direct = [.. _fresh.Where(id => id < _maps.Direct.Sampled.MaxEntries)];
                _maps.Direct.Sampled.SetAll(direct, new SampledSignals[direct.Length * _maps.Direct.Sampled.Storage.ValuesPerEntry]);
                _fresh.ForEach(id => _maps.Open.Entries[(int)id] = 0);
                _fresh.ForEach(id => _maps.Histograms.Entries.Slice((int)id * BackendHistograms.PerBackend, BackendHistograms.PerBackend).Clear());
            }

            _fresh.Clear();
        }
    }

    private void Remove(ServiceKey key, Served served)
    {
        _maps.Services.Remove(in key);
        RemoveDirect(key, served);
        _troubled -= served.Problems.IsEmpty ? 0 : 1;
        RemoveTranslation(served);
        RemoveClients(served);
        if (--CollectionsMarshal.GetValueRefOrAddDefault(_servicesOfAddress, key.Address, out _) == 0)
        {
            _servicesOfAddress.Remove(key.Address);
            _maps.Services.Remove(new ServiceKey { Address = key.Address });
        }

        RemoveLimits(served.Id);
        RemoveBackends(served.Members, (IpProtocol)key.Protocol);
        _rings.Release(served.Ring);
        _serviceIds.Release(served.Id);
        _served.Remove(key);
    }

    private void LeaveOut(ServiceKey key, Served served)
    {
        if (_served.ContainsKey(key))
        {
            Remove(key, served);
        }
        else
        {
            RemoveBackends(served.Members, (IpProtocol)key.Protocol);
            _serviceIds.Release(served.Id);
        }
    }

    private void RemoveBackends(ReadOnlySpan<Member> members, IpProtocol protocol)
    {
        foreach (ref readonly var member in members)
        {
            _maps.Backends.Entries[(int)member.Id] = default;
            RemoveTunnel(member.Id);
            _backendIds.Release(member.Id);
            if (protocol == IpProtocol.Udp)
            {
                _removedUdp.Add(member.Id);
            }
        }
    }

    // Clients of a removed UDP backend would never notice that nobody answers.
    private void Finish()
    {
        _known.Tidy(AddressesInForce);
        if (_removedUdp.Count == 0)
        {
            return;
        }

        foreach (var number in _tracker.Numbers())
        {
            ref readonly var connection = ref _tracker.At(number);
            if (connection.Protocol == IpProtocol.Udp && _removedUdp.Contains(connection.BackendId))
            {
                _tracker.Release(number);
            }
        }

        _removedUdp.Clear();
    }
}
