using System.Runtime.CompilerServices;
using Skep.Bpf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Inspection;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Engine;

/// <summary>How a datapath in the kernel is set up.</summary>
/// <param name="PinDirectory">Directory in a bpffs that belongs to this instance alone.</param>
/// <param name="Recreate">Replace pinned maps that cannot be carried over by empty ones instead of refusing to start.</param>
public sealed record KernelDatapathOptions(string PinDirectory, bool Recreate = false);

/// <summary>
/// Programs in the kernel. Maps and links are pinned, so that they outlive the process however it ends; the next one opens the same maps,
/// loads programs of its own and swaps them in. Nothing is detached unless it is told to.
/// </summary>
public sealed class KernelDatapath : IDatapath
{
    /// <summary>Nanoseconds in which programs at all hooks are exchanged.</summary>
    internal const ulong LongestExchange = 5_000_000_000;

    private readonly Lock _gate = new();
    private readonly KernelDatapathOptions _options;
    private readonly MapPins _maps;
    private readonly LinkPins _pins;
    private readonly Dictionary<Hook, (Link Link, AttachedProgram Program)> _links = [];
    private readonly Dictionary<BpfProgram, LoadedProgram> _loaded = new(ReferenceEqualityComparer.Instance);
    private readonly ConditionalWeakTable<BpfProgram, ProgramSpec> _compiled = [];
    private readonly List<string> _notices = [];

    /// <summary>Opens the datapath, with the links that an earlier process pinned.</summary>
    /// <exception cref="BpfException">There is no bpffs and none can be mounted, or the pins cannot be opened: EPERM without root.</exception>
    public KernelDatapath(KernelDatapathOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        BpfFileSystem.EnsureMounted(options.PinDirectory);
        _pins = new LinkPins(Path.Combine(options.PinDirectory, "links"));
        foreach (var (hook, link) in _pins.OpenAll(HostInterfaces.List()))
        {
            _links.Add(hook, (link, new AttachedProgram(hook, "of an earlier agent", 0, "")));
        }

        _maps = new MapPins(options.PinDirectory, MapsInForce);

        if (_links.Count > 0)
        {
            _notices.Add($"adopted {_links.Count} programs and their maps from an earlier agent");
        }
    }

    /// <inheritdoc/>
    public string Name => "kernel";

    /// <inheritdoc/>
    public IReadOnlyList<string> Notices
    {
        get
        {
            lock (_gate)
            {
                return [.. _notices];
            }
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<AttachedProgram> Attached
    {
        get
        {
            lock (_gate)
            {
                return [.. _links.Values.Select(l => l.Program)];
            }
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<BpfMap> Maps => _maps.Open;

    /// <inheritdoc/>
    public void Open(IEnumerable<BpfMap> maps, Func<BpfMap, MapMigration> ruleOf)
    {
        ArgumentNullException.ThrowIfNull(maps);
        ArgumentNullException.ThrowIfNull(ruleOf);
        lock (_gate)
        {
            _notices.AddRange(_maps.Bind(maps, ruleOf, _options.Recreate));
        }
    }

    /// <inheritdoc/>
    public void Rehearse(IEnumerable<BpfMap> maps, Func<BpfMap, MapMigration> ruleOf)
    {
        ArgumentNullException.ThrowIfNull(maps);
        ArgumentNullException.ThrowIfNull(ruleOf);
        lock (_gate)
        {
            _maps.Rehearse(maps, ruleOf, _options.Recreate);
        }
    }

    /// <inheritdoc/>
    public void Prepare(IReadOnlyCollection<BpfProgram> programs)
    {
        ArgumentNullException.ThrowIfNull(programs);
        Parallel.ForEach(programs, program =>
        {
            try
            {
                _compiled.AddOrUpdate(program, ProgramCompiler.Compile(program, KernelTarget.Running));
            }
            catch (CompileException)
            {
                // Compiled again, and reported, when it is attached.
            }
        });
        lock (_gate)
        {
            foreach (var program in programs)
            {
                try
                {
                    Load(program);
                }
                catch (Exception e) when (e is BpfException or CompileException or NotSupportedException)
                {
                    // Loaded again, and reported, when it is attached.
                }
            }

            // The last thing before they are attached: what connections the programs of before see from here on is carried over when all are exchanged.
            _maps.BeginExchange((ulong)(TimeProvider.System.GetTimestamp() * (1e9 / TimeProvider.System.TimestampFrequency)) + LongestExchange);
        }
    }

    /// <inheritdoc/>
    public void Settle()
    {
        lock (_gate)
        {
            _maps.Settle(MapsInForce);
        }
    }

    /// <inheritdoc/>
    public void Attach(Hook hook, BpfProgram program)
    {
        ArgumentNullException.ThrowIfNull(program);
        lock (_gate)
        {
            var loaded = Load(program);
            _maps.NoteExchange();
            if (_links.TryGetValue(hook, out var existing))
            {
                if (TryUpdate(existing.Link, loaded))
                {
                    _links[hook] = (existing.Link, Describe(hook, loaded, existing.Program.Mode));
                    return;
                }

                existing.Link.Detach();
                _links.Remove(hook);
            }

            var link = Create(hook, loaded);
            try
            {
                _pins.Pin(hook, link);
            }
            catch
            {
                link.Dispose();
                throw;
            }

            _links.Add(hook, (link, Describe(hook, loaded, ModeOf(link))));
        }
    }

    /// <inheritdoc/>
    public void Detach(Hook hook)
    {
        lock (_gate)
        {
            if (_links.Remove(hook, out var entry))
            {
                entry.Link.Detach();
            }
        }
    }

    /// <inheritdoc/>
    public void Forget(BpfProgram program)
    {
        lock (_gate)
        {
            if (_loaded.Remove(program, out var loaded))
            {
                loaded.Dispose();
            }
        }
    }

    /// <inheritdoc/>
    public void RemoveAll()
    {
        lock (_gate)
        {
            foreach (var hook in _links.Keys.ToArray())
            {
                Detach(hook);
            }

            _pins.Remove();
            _maps.Remove();
            Directory.Delete(_options.PinDirectory);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            foreach (var (link, _) in _links.Values)
            {
                // Pinned: the program stays where it is.
                link.Dispose();
            }

            foreach (var loaded in _loaded.Values)
            {
                loaded.Dispose();
            }

            _links.Clear();
            _loaded.Clear();
            _maps.Dispose();
        }
    }

    private HashSet<uint> MapsInForce()
    {
        var maps = new HashSet<uint>();
        foreach (var (link, _) in _links.Values)
        {
            try
            {
                maps.UnionWith(ProgramDetails.Read(link.ProgramId).MapIds);
            }
            catch (BpfException e) when (e.ErrorNumber == Errno.NoEntry)
            {
                // Its interface is gone, and the program with it.
            }
        }

        return maps;
    }

    private LoadedProgram Load(BpfProgram program)
    {
        if (!_loaded.TryGetValue(program, out var loaded))
        {
            loaded = ProgramLoader.Load(_compiled.TryGetValue(program, out var spec) ? spec : ProgramCompiler.Compile(program, KernelTarget.Running));
            _loaded.Add(program, loaded);
            _compiled.Remove(program);
        }

        return loaded;
    }

    // The kernel keeps the link of an interface that is gone, but takes no program for it.
    private static bool TryUpdate(Link link, LoadedProgram program)
    {
        try
        {
            link.Update(program);
            return true;
        }
        catch (BpfException)
        {
            return false;
        }
    }

    private Link Create(Hook hook, LoadedProgram program) => hook.Kind switch
    {
        // Generic XDP copies super-packets together and leaves partial checksums wrong: where the driver has none, traffic control does it better.
        HookKind.Xdp => XdpLink.Attach(program, hook.InterfaceIndex, XdpMode.Native),
        HookKind.TcEdge => TcxLink.Attach(program, hook.InterfaceIndex, TcDirection.Ingress, LinkAnchor.First),
        HookKind.TcEdgeOut => TcxLink.Attach(program, hook.InterfaceIndex, TcDirection.Egress, LinkAnchor.First),
        // What comes in is seen before, what goes out after the programs of others changed it: both as on the wire. Our own edge comes first, as at XDP.
        HookKind.TcIngress => TcxLink.Attach(program, hook.InterfaceIndex, TcDirection.Ingress, BehindEdge(hook)),
        HookKind.TcEgress => TcxLink.Attach(program, hook.InterfaceIndex, TcDirection.Egress),
        HookKind.Cgroup => CgroupLink.Attach(program, hook.Target[(hook.Target.IndexOf(':', StringComparison.Ordinal) + 1)..]),
        _ => RawTracepointLink.Attach(program),
    };

    private LinkAnchor BehindEdge(Hook hook) =>
        _links.TryGetValue(hook with { Kind = HookKind.TcEdge }, out var edge) && edge.Link.Id != 0 ? LinkAnchor.After(edge.Link) : LinkAnchor.First;

    private static AttachedProgram Describe(Hook hook, LoadedProgram loaded, string mode) => new(hook, loaded.Name, loaded.Spec?.Instructions.Count ?? 0, mode);

    private static string ModeOf(Link link) => link is XdpLink { Mode: { } mode } ? mode.ToString().ToLowerInvariant() : link.UsesNetlink ? "clsact" : "";
}
