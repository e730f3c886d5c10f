using Skep.Agent.Api;
using Skep.Agent.Metrics;
using Skep.Bpf.Btf;
using Skep.Bpf.Programming;
using Skep.Engine;
using Skep.Flows;

namespace Skep.Agent.Observing;

/// <summary>What is observed: the flow programs, the programs on events of the kernel, and the tables they fill.</summary>
internal sealed class FlowControl : IDisposable
{
    private readonly IDatapath _datapath;
    private readonly FlowMaps _maps;
    private readonly FlowProgram _ingress;
    private readonly FlowProgram _egress;
    private readonly KernelEventLog _drops;
    private readonly KernelEventLog _retransmits;
    private readonly KernelEventLog _states;
    private readonly RawTracepointProgram[] _events;
    private readonly bool _hasEvents;

    public FlowControl(IDatapath datapath, TimeProvider clock, TimeProvider wall, TranslationLookup translations)
    {
        _datapath = datapath;
        // Events of the kernel happen in the kernel only, and what they tell is read by its types.
        var isKernel = datapath.Name == "kernel";
        _hasEvents = isKernel && BtfFile.Kernel is not null;
        Notice = isKernel && !_hasEvents
            ? "this kernel has no BTF (/sys/kernel/btf/vmlinux): no drop reasons, retransmits and TCP states; use one with CONFIG_DEBUG_INFO_BTF"
            : null;
        _maps = new FlowMaps();
        _ingress = new FlowProgram(_maps, FlowHook.Ingress);
        _egress = new FlowProgram(_maps, FlowHook.Egress);
        var time = new KernelClock(clock, wall);
        _drops = new KernelEventLog("drop", time);
        _retransmits = new KernelEventLog("rexmit", time);
        var table = new FlowTable(
            _maps, clock, _hasEvents ? _drops.Maps : null, _hasEvents ? _retransmits.Maps : null, translations: translations);
        Table = new FlowLog(_maps, table, wall);
        _states = new KernelEventLog("sock", time);
        _events = [new DropProgram(_drops.Maps), new RetransmitProgram(_retransmits.Maps), new SocketStateProgram(_states.Maps)];
    }

    /// <summary>What people should know: what is not observed here and why; null when all is.</summary>
    public string? Notice { get; }

    /// <summary>Flows, live and ended lately.</summary>
    public FlowLog Table { get; }

    /// <summary>Gives the maps their storage.</summary>
    public void Open()
    {
        _datapath.Open(_maps.All, _maps.MigrationOf);
        Table.Open();
        if (_hasEvents)
        {
            foreach (var log in Logs)
            {
                _datapath.Open(log.Maps.All, log.Maps.MigrationOf);
                log.Open();
            }
        }
    }

    /// <summary>Reads what the rings bring until the token is cancelled.</summary>
    public Task RunAsync(CancellationToken cancellation) =>
        Task.WhenAll([Table.RunAsync(cancellation), .. _hasEvents ? Logs.Select(l => l.RunAsync(cancellation)) : []]);

    /// <summary>Forgets flows that are over; to be called about every second.</summary>
    public void Tick() => Table.Tick(InterfaceNames());

    /// <summary>The programs an interface is observed by.</summary>
    public void AddHooks(Dictionary<Hook, BpfProgram> wanted, HostInterface found)
    {
        wanted.Add(new Hook(HookKind.TcIngress, found.Name, found.Index), _ingress);
        wanted.Add(new Hook(HookKind.TcEgress, found.Name, found.Index), _egress);
    }

    /// <summary>The programs on events of the kernel.</summary>
    public void AddEvents(Dictionary<Hook, BpfProgram> wanted)
    {
        foreach (var program in _hasEvents ? _events : [])
        {
            wanted.Add(new Hook(HookKind.RawTracepoint, program.Tracepoint), program);
        }
    }

    /// <summary>Flows that match.</summary>
    public FlowsView View(Api.FlowFilter filter) => Table.View(filter, InterfaceNames());

    /// <summary>What the network stack dropped, by reason.</summary>
    public IReadOnlyList<DropView> Drops() => _hasEvents ? DropViews.Of(_drops) : [];

    /// <summary>Events that found no room in their ring.</summary>
    public IReadOnlyList<CounterView> LostEvents() =>
    [
        new("flow_ended", Table.LostEvents, 0),
        .. _hasEvents ? Logs.Select(l => new CounterView(l.Maps.Events.Name, l.Maps.ReadCounts().Lost, 0)) : [],
    ];

    /// <summary>Metrics of flows and events.</summary>
    public void WriteMetrics(MetricsWriter writer)
    {
        Table.WriteMetrics(writer, InterfaceNames());
        if (!_hasEvents)
        {
            return;
        }

        writer.Counter("skep_drops_total", "Packets dropped by the network stack, by the kernel's reason.");
        foreach (var drop in Drops())
        {
            writer.Sample(drop.Packets, ("reason", drop.Reason));
        }

        writer.Counter("skep_tcp_retransmits_total", "TCP segments this host sent again.");
        writer.Sample(_retransmits.Total);
        writer.Counter("skep_tcp_state_changes_total", "Changes of TCP sockets to a state.");
        foreach (var change in _states.Counts().OrderBy(c => c.Class))
        {
            writer.Sample(change.Count, ("state", ((TcpState)change.Class).ToString().ToLowerInvariant()));
        }
    }

    public void Dispose()
    {
        Table.Dispose();
        foreach (var log in Logs)
        {
            log.Dispose();
        }
    }

    private KernelEventLog[] Logs => [_drops, _retransmits, _states];

    private Dictionary<int, string> InterfaceNames() => _datapath.Attached
        .Where(a => a.Hook.InterfaceIndex != 0).Select(a => a.Hook).DistinctBy(h => h.InterfaceIndex).ToDictionary(h => h.InterfaceIndex, h => h.Target);
}
