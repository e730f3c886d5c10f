using System.Reflection;
using Skep.Agent.Api;
using Skep.Balancing;
using Skep.Balancing.Adaptive;
using Skep.Edge;
using Skep.Engine;
using Skep.Packets;

namespace Skep.Agent;

/// <summary>What the API shows.</summary>
internal sealed partial class Platform
{
    private static readonly string s_version = typeof(Platform).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0";

    private readonly MapCounts _counts = new(TimeProvider.System);

    /// <summary>Everything in one view.</summary>
    public StatusView Status()
    {
        lock (_gate)
        {
            return new StatusView
            {
                Version = s_version,
                Instance = _options.Instance,
                Pid = Environment.ProcessId,
                StartedAt = _startedAt,
                Engine = _datapath.Name,
                Notices = Notices(),
                Ready = IsReady,
                ResidentBytes = Environment.WorkingSet,
                Resources = ResourcesStatus(),
                Interfaces = InterfaceViews(),
                Programs = [.. _datapath.Attached.OrderBy(a => a.Hook.ToString(), StringComparer.Ordinal).Select(a => new ProgramView(a.Program, a.Hook.ToString(), a.Instructions))],
                Maps = [.. _datapath.Maps.Select(m => new MapView(m.Name, m.Kind.ToString(), _counts.Of(m), m.MaxEntries, MapCounts.BytesOf(m)))],
                Tables = _edge.Tables(_counts),
                Verdicts = Verdicts(),
                LostEvents = _flows.LostEvents(),
                Flows = _flows.Table.Count,
            };
        }
    }

    /// <summary>What is enforced, and what is wrong with what was asked last.</summary>
    public ResourcesView ResourcesStatus()
    {
        lock (_gate)
        {
            return new ResourcesView
            {
                Sources = _store.Sources,
                LoadBalancers = _inForce.LoadBalancers.Length,
                BlockLists = _inForce.BlockLists.Length,
                RateLimits = _inForce.RateLimits.Length,
                BlocksByCommand = _blocks.Current.Count,
                Generation = _generation,
                AppliedAt = _appliedAt,
                Current = _current,
                Problems = [.. _problems.Select(ProblemView.Of)],
            };
        }
    }

    /// <summary>Flows that match.</summary>
    public FlowsView Flows(FlowFilter filter) => _flows.View(filter);

    /// <summary>Drops of the kernel and of the edge.</summary>
    public IReadOnlyList<DropView> Drops()
    {
        lock (_gate)
        {
            return [.. EdgeDrops(), .. _flows.Drops()];
        }
    }

    /// <summary>Virtual endpoints.</summary>
    public IReadOnlyList<ServiceView> Services()
    {
        lock (_gate)
        {
            return
            [
                .. from service in _edge.State?.Balancer.Services ?? []
                   let traffic = service.Backends.Select(b => _edge.State!.Balancer.TrafficOf(b.Id)).ToArray()
                   select new ServiceView(
                       service.Model.Name, service.Model.Address.ToString(), service.Model.Port, service.Model.Protocol.ToString().ToLowerInvariant(),
                       Sum(traffic, t => t.Packets), Sum(traffic, t => t.Bytes), Sum(traffic, t => t.Connections), service.Backends.Length),
            ];
        }
    }

    /// <summary>Backends of all services, or those in one state.</summary>
    public IReadOnlyList<BackendView> Backends(string? state = null)
    {
        lock (_gate)
        {
            return
            [
                .. from service in _edge.State?.Balancer.Services ?? []
                   from backend in service.Backends
                   where state is null || StateOf(backend.Model) == state
                   select BackendOf(service, backend),
            ];
        }
    }

    /// <summary>Decisions about backends after one of that number, oldest first.</summary>
    public IReadOnlyList<DecisionView> Decisions(long after) =>
    [
        .. _edge.Backends.Decisions.After(after).Select(d => new DecisionView(
            d.Number, d.At, d.LoadBalancer, d.Service, EndpointText.Of(d.Decision.Address, d.Decision.Port), WordOf(d.Decision.Kind), d.Decision.Before, d.Decision.After, d.Decision.Reason)),
    ];

    /// <summary>Where a connection goes, and why.</summary>
    public ExplanationView Explain(System.Net.IPEndPoint client, System.Net.IPEndPoint service, IpProtocol protocol, byte[] connectionId)
    {
        lock (_gate)
        {
            if (_edge.State is not { } edge)
            {
                return new ExplanationView(null, null, false, ["Nothing is balanced here: the packet passes to the network stack as it is."]);
            }

            var said = edge.Explainer.Explain(IpAddress.From(client.Address), (ushort)client.Port, IpAddress.From(service.Address), (ushort)service.Port, protocol, connectionId);
            return new ExplanationView(said.Service?.Name, said.Backend is { } b ? EndpointText.Of(b.Address, b.Port) : null, said.IsKnown, [.. said.Steps, .. Why(said)]);
        }
    }

    private IEnumerable<string> Why(Explanation said) => _edge.Backends.Decisions.After(0)
        .Where(d => said.Service?.Endpoint == d.Service && d.Decision.Address == said.Backend?.Address && d.Decision.Port == said.Backend.Port)
        .TakeLast(1).Select(d => $"The last decision about it, at {d.At.ToLocalTime().ToString("HH:mm:ss", System.Globalization.CultureInfo.InvariantCulture)}: {WordOf(d.Decision.Kind)}, because {d.Decision.Reason}.");

    private static string WordOf(DecisionKind kind) => string.Concat(kind.ToString().Select((c, i) => char.IsUpper(c) && i > 0 ? $"-{c}" : c.ToString())).ToLowerInvariant();

    private static string StateOf(BackendModel backend) => backend switch
    {
        { Drain: true } => "draining",
        { Alive: false } => "dead",
        { Weight: 0 } => "drained",
        { RingWeight: 0 } => "ejected",
        _ => "up",
    };

    private BackendView BackendOf(ServiceState service, BackendState backend)
    {
        var edge = _edge.State!;
        var traffic = edge.Balancer.TrafficOf(backend.Id);
        var reading = edge.Balancer.ReadingOf(backend.Id);
        var left = _edge.Backends.DrainLeft(service.Model, backend.Model);
        return new BackendView(
            service.Model.Name, service.Model.Endpoint, backend.Model.Address.ToString(), backend.Model.Port, backend.Model.Weight,
            backend.Share, traffic.Packets, traffic.Bytes, traffic.Connections)
        {
            State = StateOf(backend.Model),
            Reason = backend.Model.AliveReason,
            DrainEnds = left is { } span ? _wall.GetUtcNow() + span : null,
            DrainSeconds = left?.TotalSeconds,
            ReplyPackets = traffic.ReplyPackets,
            ReplyBytes = traffic.ReplyBytes,
            Reachable = service.Model.Forwarding == ForwardingMode.Nat ? null : edge.Balancer.IsReachable(backend.Model.Address),
            Active = edge.Connections.OpenOf(backend.Id),
            Waiting = Math.Max(0, reading.Waiting),
            HandshakeMicroseconds = reading.Timed > 0 ? reading.HandshakeSeconds * 1e6 / reading.Timed : null,
            ResponseMicroseconds = reading.Answers > 0 ? reading.ResponseSeconds * 1e6 / reading.Answers : null,
            Refused = reading.Refused,
            Resets = reading.Resets,
            Unanswered = reading.Unanswered,
            SynRepeats = reading.SynRepeats,
            Retransmits = reading.Retransmits,
        };
    }

    /// <summary>What is blocked, by whom.</summary>
    public IReadOnlyList<BlockView> Blocks()
    {
        lock (_gate)
        {
            if (_edge.State is not { } edge)
            {
                return [];
            }

            var plan = _edge.Plan.Blocks;
            return
            [
                .. from block in edge.BlockList.List()
                   where block.Remaining != TimeSpan.Zero
                   let planned = plan.GetValueOrDefault(block.Prefix)
                   orderby block.Packets descending, block.Prefix.ToString()
                   select new BlockView(Text(block.Prefix), planned?.Reason ?? "", planned?.Until, planned?.Origin ?? "earlier agent", block.Packets),
            ];
        }
    }

    /// <summary>What the kernel offers.</summary>
    public IReadOnlyList<FeatureView> Features() => HostCheck.Features();

    private List<string> Notices()
    {
        var missing = _edge.Plan.Interfaces.Keys.Except(_enforcedOn.Values, StringComparer.Ordinal).ToArray();
        List<string> notices = [.. _notices, .. _datapath.Notices];
        if (_flows.Notice is { } unseen)
        {
            notices.Add(unseen);
        }

        if (_notKept is not null)
        {
            notices.Add(_notKept);
        }

        if (_drains.NotKept is { } drains)
        {
            notices.Add(drains);
        }

        if (_blocks.NotKept is { } notKept)
        {
            notices.Add(notKept);
        }

        if (missing.Length > 0 && _datapath.Name == "kernel")
        {
            notices.Add($"resources name interfaces that do not exist now: {string.Join(", ", missing)}; they are served when they appear");
        }

        notices.AddRange(
            from found in Interfaces()
            where _enforcedOn.TryGetValue(found.Index, out var name) && name != found.Name
            select $"interface '{_enforcedOn[found.Index]}' is called '{found.Name}' now: what resources ask for under the old name stays in force on it, "
                + "until another interface takes that name. Write the new name into the resources");
        if (_holdEdge)
        {
            notices.Add(Held);
        }

        notices.AddRange(_hooks.Refusals.Where(r => r.Key.Kind is HookKind.RawTracepoint or HookKind.Cgroup).Select(r => $"{r.Key}: {r.Value.Message}"));
        return notices;
    }

    private InterfaceView[] InterfaceViews()
    {
        var attached = _datapath.Attached.ToLookup(a => a.Hook.InterfaceIndex);
        var refused = _hooks.Refusals.ToLookup(r => r.Key.InterfaceIndex);
        return
        [
            .. Interfaces().Select(i => new InterfaceView(
                i.Name, i.Index,
                [.. attached[i.Index].Select(a => a.Mode.Length > 0 ? $"{a.Hook.Word} ({a.Mode})" : a.Hook.Word).Order(StringComparer.Ordinal)],
                _enforcedOn.TryGetValue(i.Index, out var name) ? _edge.ChoiceFor(i, name).Why : null,
                refused[i.Index].Select(r => $"{r.Key.Word}: {r.Value.Message}").FirstOrDefault())),
        ];
    }

    private CounterView[] Verdicts() => _edge.State is { } edge
        ? [.. edge.ReadCounters().Select(c => new CounterView(VerdictName(c.Key), c.Value.Packets, c.Value.Bytes))]
        : [];

    private IEnumerable<DropView> EdgeDrops() => _edge.State is null ? [] :
        from counter in _edge.State.ReadCounters()
        where counter.Value.Packets > 0 && EdgeProgram.ActionOf(counter.Key, _edge.Sizes) == Bpf.Programming.XdpAction.Drop
        select new DropView { Stage = "edge", Reason = VerdictName(counter.Key), Meaning = MeaningOf(counter.Key), Packets = counter.Value.Packets };

    private static ulong Sum<T>(T[] items, Func<T, ulong> of) => items.Aggregate(0UL, (sum, item) => sum + of(item));

    /// <summary>A single address without length, as people write it.</summary>
    private static string Text(IpPrefix prefix) => prefix.IsSingleAddress ? prefix.Address.ToString() : prefix.ToString();

    internal static string VerdictName(EdgeVerdict verdict) => string.Concat(verdict.ToString().Select((c, i) => char.IsUpper(c) ? (i > 0 ? "_" : "") + char.ToLowerInvariant(c) : c.ToString()));

    private static string MeaningOf(EdgeVerdict verdict) => verdict switch
    {
        EdgeVerdict.Blocked => "the source is on a block list",
        EdgeVerdict.RateLimited => "the source exceeded its rate limit",
        EdgeVerdict.NoBackend => "the service has no backend that takes connections",
        EdgeVerdict.TableFull => "the connection table took no entry; when it is full ('skep status'), ask for more 'connections' in a TableSizes resource",
        EdgeVerdict.PortCollision => "the client uses the same port towards the backends through other services",
        EdgeVerdict.PortsExhausted => "no free port was found at the own addresses that replace clients'",
        EdgeVerdict.StrayFragment => "a later fragment whose first one was not seen",
        EdgeVerdict.SourceRefused => "the source is not among those that may use the service",
        EdgeVerdict.Undeliverable => "no way to the backend is known, or the frame had no room for the outer headers",
        EdgeVerdict.TunnelRefused => "outer headers from elsewhere than a balancer, or around no packet for a virtual address",
        EdgeVerdict.ServiceLimited => "the service has more packets or new connections than its limit allows",
        EdgeVerdict.Held => "of no known connection while tables changed their sizes; TCP sends it again",
        EdgeVerdict.Malformed => "truncated or contradictory packet",
        _ => "",
    };
}
