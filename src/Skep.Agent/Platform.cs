using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Skep.Agent.Configuration;
using Skep.Agent.Observing;
using Skep.Balancing.Health;
using Skep.Bpf.Programming;
using Skep.Engine;
using Skep.Resources;

namespace Skep.Agent;

/// <summary>
/// The platform of one host: keeps what runs in the datapath equal to what was asked for. Changes are made one at a time;
/// readers see the state before or after a change.
/// </summary>
internal sealed partial class Platform : IDisposable
{
    private static readonly TimeSpan s_tick = TimeSpan.FromSeconds(1);

    // Changes come in swarms, as when an interface goes down.
    private static readonly TimeSpan s_swarm = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan s_adapt = TimeSpan.FromSeconds(Balancing.Adaptive.WeightLaw.Period);

    private readonly Lock _gate = new();
    private readonly AgentOptions _options;
    private readonly IDatapath _datapath;
    private readonly INextHops _nextHops;
    private readonly TimeProvider _wall;
    private readonly ILogger<Platform> _logger;
    private readonly ResourceStore _store;
    private readonly BlockStore _blocks;
    private readonly DrainStore _drains;
    private readonly ResourceWatcher _watcher;
    private readonly HookReconciler _hooks;
    private readonly EdgeControl _edge;
    private readonly HealthMonitor? _monitor;
    private bool _isDisposed;
    private readonly FlowControl _flows;
    private readonly DateTimeOffset _startedAt;
    private readonly List<string> _notices;
    private readonly NamedInterfaces _named = new();
    private readonly NamedInterfaces _observed = new();

    private ResourceSet _inForce = ResourceSet.Empty;
    private ImmutableArray<ResourceProblem> _problems = [];
    private DateTimeOffset? _appliedAt;
    private int _generation;
    private bool _current = true;
    private long _reloadsGood;
    private long _reloadsBad;
    private bool _hasGarbage;
    private string? _notKept;
    private IReadOnlyDictionary<int, string> _enforcedOn = new Dictionary<int, string>();

    // Until a set is known to be good, what an earlier agent enforces is left as it is.
    private bool _holdEdge = true;

    public Platform(AgentOptions options, OpenedDatapath opened, TimeProvider wall, ILogger<Platform> logger)
    {
        (_options, _datapath, _nextHops, _wall, _logger) = (options, opened.Datapath, opened.Hops, wall, logger);
        _notices = [.. opened.Notices];
        _startedAt = wall.GetUtcNow();
        _store = new ResourceStore(options, opened.Protected);
        _blocks = new BlockStore(options.Paths.Blocks, wall);
        _watcher = new ResourceWatcher(_store, [.. options.Resources.Append(options.Paths.Applied).Select(DirectoryOf)], wall);
        _hooks = new HookReconciler(opened.Datapath, wall, logger);
        // A recorded capture has no backends that could be asked.
        _monitor = opened.Datapath is KernelDatapath ? new HealthMonitor(wall, new Random(Environment.ProcessId)) : null;
        _drains = new DrainStore(options.Paths.Drains, opened.Clock, wall, opened.Datapath is KernelDatapath ? BootOfThisHost() : Guid.NewGuid().ToString());
        _edge = new EdgeControl(opened.Datapath, opened.Hops, opened.Clock, wall, _monitor, _drains);
        _flows = new FlowControl(opened.Datapath, opened.Clock, wall, _edge.TranslationOf);
        Interfaces = opened.Interfaces;
    }

    /// <summary>Whether everything that is asked for has been put into force once.</summary>
    public bool IsReady { get; private set; }

    /// <summary>What runs the programs.</summary>
    internal IDatapath Datapath => _datapath;

    /// <summary>The interfaces there are.</summary>
    private Func<IReadOnlyList<HostInterface>> Interfaces { get; }

    /// <summary>Observes, and enforces what the resources say.</summary>
    public void Start()
    {
        lock (_gate)
        {
            foreach (var damage in new[] { _blocks.Load(), _drains.Load() }.OfType<string>())
            {
                _notices.Add(damage);
                LogNotice(_logger, damage);
            }

            foreach (var hook in _datapath.Attached.Select(a => a.Hook).Where(h => h.IsEdge))
            {
                _named.Remember(hook.Target, hook.InterfaceIndex);
            }

            _flows.Open();
            LoadFirst();
            Reconcile();
            IsReady = true;
        }

        // A backend that died leaves the ring at once, not with the next step.
        _monitor?.Changed += Adapt;
        _watcher.Start();
    }

    /// <summary>Keeps things as they should be until the token is cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        try
        {
            // The first that fails ends the agent: one that looks alive but keeps nothing as it should be is worse than one that is started again.
            await await Task.WhenAny(TickAsync(cancellation), AdaptAsync(cancellation), WatchAsync(cancellation), FollowHopsAsync(cancellation), _flows.RunAsync(cancellation));
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // That is how it ends.
        }
    }

    /// <summary>Lets go. What is pinned in the kernel stays unless the options say otherwise.</summary>
    public void Dispose()
    {
        _watcher.Dispose();
        _monitor?.Changed -= Adapt;
        _monitor?.Dispose();
        lock (_gate)
        {
            _isDisposed = true;
            if (_options.Detach)
            {
                _datapath.RemoveAll();
            }

            _flows.Dispose();
            _datapath.Dispose();
            _nextHops.Dispose();
        }
    }

    private async Task TickAsync(CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(s_tick, _wall);
        while (await timer.WaitForNextTickAsync(cancellation))
        {
            lock (_gate)
            {
                Guarded("housekeeping", Tick);
            }
        }
    }

    private async Task AdaptAsync(CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(s_adapt, _wall);
        while (await timer.WaitForNextTickAsync(cancellation))
        {
            Adapt();
        }
    }

    private void Adapt()
    {
        lock (_gate)
        {
            if (!_isDisposed)
            {
                Guarded("adapting weights", _edge.Adapt);
            }
        }
    }

    private void Tick()
    {
        if (_blocks.Prune())
        {
            ApplyEdge();
        }

        _edge.Tick();
        _flows.Tick();
        if (_hasGarbage)
        {
            // Compiling leaves tens of megabytes behind, which a quiet process would keep for hours.
            _hasGarbage = false;
            GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        }

        Reconcile();
    }

    private async Task WatchAsync(CancellationToken cancellation)
    {
        while (true)
        {
            await _watcher.WaitForChangeAsync(cancellation);
            Guarded("reading the resources", () => Reload());
        }
    }

    private async Task FollowHopsAsync(CancellationToken cancellation)
    {
        while (true)
        {
            await _nextHops.WaitForChangeAsync(cancellation);
            await Task.Delay(s_swarm, _wall, cancellation);
            lock (_gate)
            {
                Guarded("following the ways to backends", () =>
                {
                    _edge.FollowHops();
                    Reconcile();
                });
            }
        }
    }

    /// <summary>Makes the hooks what flows and edge need on the interfaces that exist.</summary>
    private void Reconcile()
    {
        var present = Interfaces();
        _edge.NotePeers(present);
        var observed = _observed.Resolve(_options.Observe, present);
        _enforcedOn = _holdEdge ? _enforcedOn : _named.Resolve([.. _edge.Plan.Interfaces.Keys], present);
        do
        {
            var wanted = new Dictionary<Hook, BpfProgram>();
            foreach (var found in present)
            {
                // The edge before those that observe: it comes before them on the hook that they share.
                if (!_holdEdge && _enforcedOn.TryGetValue(found.Index, out var name) && _edge.HookFor(found, name) is var (hook, program))
                {
                    wanted.Add(hook, program);
                }

                if (!_holdEdge && _edge.ErrorHookFor(found, _enforcedOn.GetValueOrDefault(found.Index)) is var (way, errors))
                {
                    wanted.Add(way, errors);
                }

                if (_options.Observe.Count == 0 ? !found.IsLoopback : observed.ContainsKey(found.Index))
                {
                    _flows.AddHooks(wanted, found);
                }
            }

            _edge.AddSocketHooks(wanted);
            _flows.AddEvents(wanted);
            _hasGarbage |= _hooks.Reconcile(wanted, hook => _holdEdge && (hook.IsEdge || hook.Kind == HookKind.Cgroup));
        }
        while (_edge.NoteRefusals(_hooks.Refusals, present));
        _datapath.Settle();
    }

    // A kernel that refuses one thing must not end everything else.
    private void Guarded(string what, Action action)
    {
        try
        {
            action();
        }
        catch (Exception e) when (e is Bpf.BpfException or IOException or UnauthorizedAccessException or LayoutException)
        {
            LogFailed(_logger, what, e.Message);
        }
    }

    private static string BootOfThisHost() => File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim();

    private static string DirectoryOf(string path) => Directory.Exists(path) ? path : Path.GetDirectoryName(Path.GetFullPath(path))!;

    [LoggerMessage(LogLevel.Warning, "{Notice}")]
    private static partial void LogNotice(ILogger logger, string notice);

    [LoggerMessage(LogLevel.Error, "{What} failed: {Message}")]
    private static partial void LogFailed(ILogger logger, string what, string message);
}
