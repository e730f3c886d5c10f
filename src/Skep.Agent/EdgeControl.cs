using Skep.Agent.Configuration;
using Skep.Agent.Observing;
using Skep.Balancing;
using Skep.Balancing.Health;
using Skep.Balancing.Sockets;
using Skep.Bpf.Compiler;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Edge.Tracing;
using Skep.Engine;
using Skep.Filtering;
using Skep.Flows;
using Skep.Packets;
using Skep.Resources;

namespace Skep.Agent;

/// <summary>
/// Brings a plan into the maps and programs of the edge. The maps are made when something is to be enforced for the first time:
/// observing costs none of their memory. Not for concurrent use.
/// </summary>
internal sealed partial class EdgeControl(IDatapath datapath, INextHops hops, TimeProvider clock, TimeProvider wall, HealthMonitor? monitor, DrainStore drains)
{
    private static readonly TimeSpan s_sweep = TimeSpan.FromSeconds(10);

    // The kernel tells of every change; this is for what it could not tell.
    private static readonly TimeSpan s_lookAgain = TimeSpan.FromSeconds(30);

    // A neighbour that is there answers in a fraction of it; packets for one that has not answered are lost.
    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(100);

    private readonly Dictionary<(EdgeOptions Options, HookKind Hook, bool HasEthernetHeader), BpfProgram> _programs = [];
    private readonly Dictionary<(bool TranslatesSources, bool HasEthernetHeader), BpfProgram> _errorPrograms = [];
    private readonly Dictionary<HostInterface, string> _refusals = [];
    private long _ticked = clock.GetTimestamp();
    private long _swept = clock.GetTimestamp();
    private long _looked = clock.GetTimestamp();
    private EdgeMaps? _maps;
    private SocketBalancer? _sockets;
    private IReadOnlyDictionary<IpAddress, BackendPath> _hops = new Dictionary<IpAddress, BackendPath>();
    private readonly VipHeat _heat = new();
    private readonly SampleRate _sampling = new();
    private DirectOptions? _direct;
    private bool _isTracing;
    private ServiceFlags _features;
    private HashSet<uint> _peers = [];

    /// <summary>Weights that follow the traffic.</summary>
    public BackendControl Backends { get; } = new(clock, wall, monitor, drains);

    /// <summary>Sizes of the tables.</summary>
    public EdgeOptions Sizes { get; private set; } = new();

    /// <summary>User half of the edge; null as long as nothing was ever enforced.</summary>
    public EdgeState? State { get; private set; }

    /// <summary>The plan in force.</summary>
    public EdgePlan Plan { get; private set; } = EdgePlan.Empty;

    /// <summary>Puts a plan into the maps and prepares the programs; returns what could not be done.</summary>
    /// <exception cref="LayoutException">The tables cannot be what the plan wants; everything is as it was.</exception>
    public IReadOnlyList<string> Apply(EdgePlan plan)
    {
        if (!NeedsTables(plan))
        {
            (Plan, Sizes) = (plan, plan.Sizes);
            return [];
        }

        Open(plan);
        var now = wall.GetUtcNow();
        var blocks = plan.Blocks.Values.Where(b => b.Until is null || b.Until > now).Select(b => new BlockRequest(b.Prefix, b.Until - now)).ToArray();
        FindHops([.. plan.Services.Where(s => s.Forwarding != ForwardingMode.Nat).SelectMany(s => s.Backends).Select(b => b.Address).Union(plan.Tunnels.Peers)], s_patience);
        List<string> problems =
        [
            .. State!.Tunnels.Apply(plan.Tunnels),
            .. State.Balancer.Apply(Backends.Adopt(plan.Services, State.Balancer)).Select(p => p.Message),
            .. State.BlockList.Apply(blocks).Select(p => p.Message),
            .. _sockets?.Apply(plan.HostServices) ?? [],
        ];
        Plan = plan;
        Specialise();
        return problems;
    }

    /// <summary>Finds out whether the tables can become what a plan wants; nothing is changed.</summary>
    /// <exception cref="LayoutException">They cannot.</exception>
    public void Rehearse(EdgePlan plan)
    {
        if (NeedsTables(plan))
        {
            var missing = MissingTables(plan);
            datapath.Rehearse(missing.All, missing.MigrationOf);
        }
    }

    /// <summary>The program an interface needs and where it runs, or null.</summary>
    /// <param name="device">The interface.</param>
    /// <param name="name">Its name in the plan.</param>
    public (Hook Hook, BpfProgram Program)? HookFor(HostInterface device, string name)
    {
        if (!Plan.Interfaces.ContainsKey(name))
        {
            return null;
        }

        var options = OptionsOf(name);

        // Interfaces with the same needs run the same program.
        var kind = ChoiceFor(device, name).Kind;
        var shape = (options, kind, device.HasEthernetHeader);
        if (!_programs.TryGetValue(shape, out var program))
        {
            program = kind == HookKind.Xdp ? new EdgeProgram(_maps!, options) : new TcEdgeProgram(_maps!, options, device.HasEthernetHeader);
            _programs.Add(shape, program);
        }

        return (new Hook(kind, device.Name, device.Index), program);
    }

    /// <summary>
    /// The program that mends ICMP errors of this host itself where they leave: by interfaces of balancers that rewrite and, when backends see own addresses, by
    /// loopback, because then such errors are addressed to this host.
    /// </summary>
    /// <param name="device">The interface.</param>
    /// <param name="name">Its name in the plan; null when it has none.</param>
    public (Hook Hook, BpfProgram Program)? ErrorHookFor(HostInterface device, string? name)
    {
        var isNeeded = name is not null ? Plan.Interfaces.TryGetValue(name, out var options) && options.Balance
            : device.IsLoopback && State is { Balancer.TranslatesSources: true } && Plan.Interfaces.Values.Any(o => o.Balance);
        if (!isNeeded)
        {
            return null;
        }

        var shape = (State!.Balancer.TranslatesSources, device.HasEthernetHeader);
        if (!_errorPrograms.TryGetValue(shape, out var program))
        {
            _errorPrograms.Add(shape, program = new HostErrorProgram(_maps!, shape.TranslatesSources, shape.HasEthernetHeader));
        }

        return (new Hook(HookKind.TcEdgeOut, device.Name, device.Index), program);
    }

    /// <summary>Tells programs which interfaces there are, for those that send packets on by themselves.</summary>
    public void NotePeers(IReadOnlyList<HostInterface> devices)
    {
        if (_maps is null)
        {
            return;
        }

        var peers = devices.Where(d => d.HasReachablePeer && d.Index < EdgeMaps.MostInterfaces).Select(d => (uint)d.Index).ToHashSet();
        foreach (var index in peers.Except(_peers).Concat(_peers.Except(peers)).ToArray())
        {
            _maps.Peers.Set(index, peers.Contains(index) ? 1u : 0u);
        }

        _peers = peers;
    }

    /// <summary>The programs that balance sockets of this host, if it is asked for.</summary>
    public void AddSocketHooks(Dictionary<Hook, BpfProgram> wanted)
    {
        if (Plan.Cgroup is null || _sockets is null)
        {
            return;
        }

        var directory = CgroupDirectory.Of(Plan.Cgroup);
        foreach (var program in _sockets.Programs)
        {
            wanted.Add(new Hook(HookKind.Cgroup, $"{program.Section["cgroup/".Length..]}:{directory}"), program);
        }
    }

    /// <summary>Where the edge of an interface runs, and why.</summary>
    public HookChoice ChoiceFor(HostInterface device, string name) =>
        HookChoice.For(device, NeedsXdp(name) ? EdgeHook.Xdp : Plan.Hooks.GetValueOrDefault(name), _refusals.GetValueOrDefault(device));

    /// <summary>
    /// Remembers where XDP was refused, so that traffic control takes its place; true when that is news. It is tried again when the interface changes: trying
    /// disturbs some drivers. Where the program from before goes on at XDP, it was the new one that was refused, and not XDP.
    /// </summary>
    public bool NoteRefusals(IReadOnlyDictionary<Hook, HookRefusal> refusals, IReadOnlyList<HostInterface> devices)
    {
        foreach (var gone in _refusals.Keys.Except(devices).ToArray())
        {
            _refusals.Remove(gone);
        }

        var isNews = false;
        foreach (var device in devices)
        {
            if (refusals.TryGetValue(new Hook(HookKind.Xdp, device.Name, device.Index), out var refusal) && !refusal.KeepsFormer)
            {
                isNews |= _refusals.TryAdd(device, refusal.Message);
            }
        }

        return isNews;
    }

    /// <summary>What the balancer did to a packet that an observing hook saw after it. Safe at any time: it only reads a map.</summary>
    public FlowTranslation? TranslationOf(FlowPacket packet) =>
        State?.Connections.FindRewritten(packet.Source, packet.SourcePort, packet.Destination, packet.DestinationPort, packet.Protocol) is { } found
            ? new FlowTranslation(found.Service, found.ServicePort, found.Backend, found.BackendPort)
            : null;

    /// <summary>Moves the clock of the connection table and forgets what is over; to be called about every second.</summary>
    public void Tick()
    {
        if (State is null)
        {
            _ticked = clock.GetTimestamp();
            return;
        }

        var seconds = (uint)Math.Max(0, clock.GetElapsedTime(_ticked).TotalSeconds);
        if (seconds > 0)
        {
            _ticked += seconds * clock.TimestampFrequency;
            State.Connections.Tick(seconds);
        }

        if (clock.GetElapsedTime(_looked) >= s_lookAgain)
        {
            hops.Forget();
            FollowHops();
        }

        // Reading the whole list every second is for lists in which something can end.
        if (Plan.Blocks.Values.Any(b => b.Until is not null))
        {
            State.BlockList.Sweep();
        }

        if (clock.GetElapsedTime(_swept) >= s_sweep)
        {
            var elapsed = clock.GetElapsedTime(_swept);
            _swept = clock.GetTimestamp();
            State.Connections.Sweep();
            var released = State.Balancer.ReleaseAddresses();
            if (LookAtDirect(elapsed) || released)
            {
                Specialise();
            }
        }
    }

    /// <summary>Lets weights follow the traffic; to be called every quarter of a second.</summary>
    public void Adapt()
    {
        if (State is not null && Backends.IsNeeded)
        {
            Backends.Step(State.Balancer, State.Connections);
        }
    }

    // Whether other endpoints have the traffic than before.
    private bool LookAtDirect(TimeSpan elapsed)
    {
        if (_direct is null)
        {
            return false;
        }

        var packets = State!.Balancer.CountDirectPackets();
        State.Balancer.Sample(_sampling.Next(packets.Values.Aggregate(0UL, (sum, p) => sum + p), elapsed));
        return _heat.Look(packets, VipList.Most);
    }

    /// <summary>Has programs write down the packets of a connection from now on; null, or why not.</summary>
    public string? StartTrace(in TraceFilter filter)
    {
        if (State is null)
        {
            return "Nothing is balanced here.";
        }

        if (_isTracing)
        {
            return "Another trace is running: one at a time.";
        }

        var maps = _maps!.Trace;
        datapath.Open(maps.All, _ => MapMigration.Scratch);
        maps.Filter.Value = filter;
        _isTracing = true;
        var refusal = Untraceable();
        _isTracing = refusal is null;
        Specialise();
        return refusal;
    }

    // What cannot be compiled must not take the place of what runs.
    private string? Untraceable()
    {
        foreach (var options in Plan.Interfaces.Keys.Select(OptionsOf).Distinct())
        {
            try
            {
                ProgramCompiler.Compile(new EdgeProgram(_maps!, options));
                if (options.Direct is null)
                {
                    ProgramCompiler.Compile(new TcEdgeProgram(_maps!, options));
                }
            }
            catch (CompileException e)
            {
                return $"The program of this configuration leaves no room for it: {e.Message}";
            }
        }

        return null;
    }

    /// <summary>The clock that programs read.</summary>
    public KernelClock Clock { get; } = new(clock, wall);

    /// <summary>What programs write down.</summary>
    public TraceMaps Trace => _maps!.Trace;

    /// <summary>Programs write down nothing any more.</summary>
    public void StopTrace()
    {
        _maps!.Trace.Filter.Value = default;
        _isTracing = false;
        Specialise();
    }

    /// <summary>Takes over ways to backends that changed; to be called when they may have. The programs they need may be others than before.</summary>
    public void FollowHops()
    {
        if (State is not null && State.Balancer.WantedHops.Union(State.Tunnels.WantedHops).ToArray() is { Length: > 0 } wanted)
        {
            FindHops(wanted, TimeSpan.Zero);
            Specialise();
        }
    }

    private void FindHops(IReadOnlyCollection<IpAddress> backends, TimeSpan patience)
    {
        _looked = clock.GetTimestamp();
        _hops = hops.Find(backends, patience);
        State!.Balancer.SetNextHops(_hops);
        State.Tunnels.SetNextHops(_hops);
        monitor?.SetNextHops(_hops);
    }

    // The services and ways in force say what programs need; those that nobody needs any more are let go.
    private void Specialise()
    {
        _features = Balancer.FeaturesOf(State!.Balancer.Services);
        _direct = DirectPlan.For(State!.Balancer.Services, _hops.Values, State.FlowSeed, _heat.Hot);
        var needed = Plan.Interfaces.Keys.Select(OptionsOf).ToHashSet();
        foreach (var shape in _programs.Keys.Where(s => !needed.Contains(s.Options)).ToArray())
        {
            datapath.Forget(_programs[shape]);
            _programs.Remove(shape);
        }
    }

    // Outer headers are put on at XDP only; they are taken off at either.
    private bool NeedsXdp(string name) => Plan.DirectInterfaces.Contains(name);

    private EdgeOptions OptionsOf(string name) => Plan.Interfaces[name] with
    {
        Direct = Plan.DirectInterfaces.Contains(name) ? _direct : null,
        Trace = _isTracing,
        // Also as long as connections live whose service does so no more.
        TranslateSources = Plan.Interfaces[name].Balance && State!.Balancer.TranslatesSources,
        Features = Plan.Interfaces[name].Balance ? _features : ServiceFlags.None,
        FlowSeed = _features != ServiceFlags.None ? State!.FlowSeed : 0,
    };

    // Tables of other sizes take over what those of before hold. Programs in force keep theirs until they are exchanged.
    private void Open(EdgePlan plan)
    {
        var missing = MissingTables(plan);
        datapath.Open(missing.All, missing.MigrationOf);
        if (missing.Edge is { } maps)
        {
            Adopt(maps, plan.Sizes);
        }

        if (missing.Sockets is { } sockets)
        {
            _sockets = new SocketBalancer(_maps!.Balancing, sockets);
        }
    }

    private bool NeedsTables(EdgePlan plan) => State is not null || !plan.Interfaces.IsEmpty || plan.Cgroup is not null;

    private EdgeTables MissingTables(EdgePlan plan)
    {
        var edge = State is null || plan.Sizes != Sizes ? new EdgeMaps(plan.Sizes) : null;

        // The sockets' maps go with those of the edge: the object for both holds them together.
        var sockets = plan.Cgroup is not null && (edge is not null || _sockets is null) ? new SocketMaps(plan.Sizes.MaxServices, plan.Sizes.MaxSockets) : null;
        return new EdgeTables(edge, sockets);
    }

    private void Adopt(EdgeMaps maps, EdgeOptions sizes)
    {
        (_maps, Sizes) = (maps, sizes);
        maps.Peers.ReadAll((index, peer) => _ = peer != 0 && _peers.Add(index));
        State = new EdgeState(maps, clock);
        _ticked = clock.GetTimestamp();
        _sockets = null;
        foreach (var program in _programs.Values.Concat(_errorPrograms.Values))
        {
            datapath.Forget(program);
        }

        _programs.Clear();
        _errorPrograms.Clear();
    }
}
