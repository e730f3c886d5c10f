using System.Collections.Concurrent;
using System.Collections.Immutable;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Twin;

namespace Skep.Engine;

/// <summary>Programs in this process, fed by captures: for machines where the kernel may not be programmed, for rehearsals and for tests.</summary>
public sealed class TwinDatapath : IDatapath
{
    private ImmutableArray<string> _notices = [];
    private readonly ConcurrentDictionary<Hook, (Hook Hook, BpfProgram Program)> _programs = new();

    // Maps of which there are later ones; those that are retired go with the next call of Settle, because readers do not wait.
    private readonly List<BpfMap> _superseded = [];
    private readonly List<BpfMap> _retired = [];
    private readonly List<MapTransfer> _transfers = [];

    /// <summary>An empty datapath with a clock of its own.</summary>
    public TwinDatapath(TwinOptions? options = null) => Twin = new TwinEngine(options);

    /// <summary>The twin under it.</summary>
    public TwinEngine Twin { get; }

    /// <inheritdoc/>
    public string Name => "twin";

    /// <inheritdoc/>
    public IReadOnlyList<string> Notices => _notices;

    /// <summary>Adds to what people should know.</summary>
    public void Notify(string notice) => ImmutableInterlocked.Update(ref _notices, (all, added) => all.Add(added), notice);

    /// <inheritdoc/>
    public IReadOnlyList<AttachedProgram> Attached => [.. _programs.Select(p => new AttachedProgram(p.Value.Hook, p.Value.Program.Name, 0, ""))];

    /// <inheritdoc/>
    public IReadOnlyList<BpfMap> Maps => [.. Twin.Maps.Except(_superseded).Except(_retired)];

    /// <inheritdoc/>
    public void Open(IEnumerable<BpfMap> maps, Func<BpfMap, MapMigration> ruleOf)
    {
        ArgumentNullException.ThrowIfNull(maps);
        ArgumentNullException.ThrowIfNull(ruleOf);
        List<(BpfMap Map, BpfMap? Before)> bound = [];
        try
        {
            _transfers.AddRange(BindAll(maps, ruleOf, bound));
        }
        catch
        {
            bound.ForEach(b => Twin.Release(b.Map));
            throw;
        }

        _superseded.AddRange(bound.Select(b => b.Before).OfType<BpfMap>());
    }

    /// <inheritdoc/>
    public void Rehearse(IEnumerable<BpfMap> maps, Func<BpfMap, MapMigration> ruleOf)
    {
        ArgumentNullException.ThrowIfNull(maps);
        ArgumentNullException.ThrowIfNull(ruleOf);
        List<(BpfMap Map, BpfMap? Before)> bound = [];
        try
        {
            BindAll(maps, ruleOf, bound);
        }
        finally
        {
            bound.ForEach(b => Twin.Release(b.Map));
        }
    }

    private List<MapTransfer> BindAll(IEnumerable<BpfMap> maps, Func<BpfMap, MapMigration> ruleOf, List<(BpfMap Map, BpfMap? Before)> bound)
    {
        List<MapTransfer> transfers = [];
        foreach (var map in maps.Where(m => !m.IsBound))
        {
            var before = Twin.Maps.LastOrDefault(m => m.Name == map.Name);
            Twin.Bind(map);
            bound.Add((map, before));
            if (before is not null)
            {
                transfers.Add(MapTransfer.Begin(new MapBefore(before.Name, MapShape.Of(before), before.Storage, true), map, null, ruleOf(map), mayForget: false));
            }
        }

        return transfers;
    }

    /// <inheritdoc/>
    public void Settle()
    {
        _transfers.ForEach(t => t.CatchUp(isInUse: true));
        _transfers.ForEach(static t => t.Exchanging(0));
        _transfers.Clear();
        _retired.ForEach(Twin.Release);
        _retired.Clear();
        _retired.AddRange(_superseded);
        _superseded.Clear();
    }

    /// <inheritdoc/>
    public void Prepare(IReadOnlyCollection<BpfProgram> programs)
    {
        // The just-in-time compiler of the process does the rest on the way.
        _transfers.ForEach(t => t.CatchUp(isInUse: false));
        _transfers.ForEach(t => t.Exchanging(Twin.Environment.KtimeNow + KernelDatapath.LongestExchange));
    }

    /// <inheritdoc/>
    public void Attach(Hook hook, BpfProgram program)
    {
        ArgumentNullException.ThrowIfNull(program);
        Twin.Bind(program);
        _programs[hook] = (hook, program);
    }

    /// <inheritdoc/>
    public void Detach(Hook hook) => _programs.TryRemove(hook, out _);

    /// <inheritdoc/>
    public void Forget(BpfProgram program)
    {
        // The twin compiles nothing, and its maps stay.
    }

    /// <inheritdoc/>
    public void RemoveAll() => _programs.Clear();

    /// <summary>
    /// A packet passes an interface: the edge decides, at XDP or traffic control, then the traffic control program of its direction sees what passes.
    /// A capture holds both directions, and the edge sees both, as it does with an interface on either side.
    /// </summary>
    /// <param name="interfaceName">Name of the interface.</param>
    /// <param name="interfaceIndex">Its number.</param>
    /// <param name="packet">From the Ethernet header on.</param>
    /// <param name="outgoing">Whether the host sends it.</param>
    public XdpAction Pass(string interfaceName, int interfaceIndex, ReadOnlySpan<byte> packet, bool outgoing)
    {
        var verdict = XdpAction.Pass;
        if (_programs.TryGetValue(new Hook(HookKind.Xdp, interfaceName, interfaceIndex), out var edge))
        {
            var result = Twin.Run((XdpProgram)edge.Program, packet, new XdpRunOptions((uint)interfaceIndex));
            verdict = result.Action;
            packet = verdict == XdpAction.Pass ? result.Packet.ToArray() : packet;
        }

        if (verdict == XdpAction.Pass && _programs.TryGetValue(new Hook(HookKind.TcEdge, interfaceName, interfaceIndex), out edge))
        {
            var result = Twin.Run((TcProgram)edge.Program, packet, new TcRunOptions((uint)interfaceIndex, (uint)interfaceIndex));
            verdict = result.Action == TcAction.Shot ? XdpAction.Drop : XdpAction.Pass;
            packet = verdict == XdpAction.Pass ? result.Packet.ToArray() : packet;
        }

        if (verdict == XdpAction.Pass && outgoing && _programs.TryGetValue(new Hook(HookKind.TcEdgeOut, interfaceName, interfaceIndex), out edge))
        {
            packet = Twin.Run((TcProgram)edge.Program, packet, new TcRunOptions((uint)interfaceIndex)).Packet.ToArray();
        }

        if (verdict == XdpAction.Pass && _programs.TryGetValue(new Hook(outgoing ? HookKind.TcEgress : HookKind.TcIngress, interfaceName, interfaceIndex), out var flows))
        {
            Twin.Run((TcProgram)flows.Program, packet, new TcRunOptions((uint)interfaceIndex, outgoing ? 0 : (uint)interfaceIndex));
        }

        return verdict;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _programs.Clear();
        Twin.Dispose();
    }
}
