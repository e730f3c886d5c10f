using Skep.Agent;
using Skep.Bpf;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Engine;

namespace Skep.Tests.Agent;

/// <summary>Where the agent attaches the edge, and what it does when a hook refuses.</summary>
public sealed class HookTests
{
    [Fact]
    public void A_virtual_device_gets_the_edge_at_traffic_control_before_what_observes_it()
    {
        using var bed = new AgentBed();
        using var datapath = new Journal();
        using var platform = bed.Start(datapath, () => [new HostInterface(3, OpenedDatapath.CaptureInterface, false, "veth")]);
        Assert.Equal(["tcx-edge/capture", "tcx-ingress/capture", "tcx-egress/capture"], datapath.Order.Where(o => o.EndsWith("capture", StringComparison.Ordinal)));
        Assert.Contains("super-packets", Assert.Single(platform.Status().Interfaces).WhyEdge, StringComparison.Ordinal);
    }

    [Fact]
    public void Where_XDP_is_refused_traffic_control_takes_its_place_and_status_says_why()
    {
        using var bed = new AgentBed();
        using var datapath = new Journal { Refusal = "Too few free TX rings available" };
        var mtu = 1500;
        using var platform = bed.Start(datapath, () => [new HostInterface(3, OpenedDatapath.CaptureInterface, false, Mtu: mtu)]);
        var view = Assert.Single(platform.Status().Interfaces);
        Assert.Equal(["tcx-edge", "tcx-egress", "tcx-ingress"], view.Hooks);
        Assert.Null(view.Error);
        Assert.Contains("Too few free TX rings available", view.WhyEdge, StringComparison.Ordinal);
        Assert.Equal(1, datapath.Refused);

        platform.Reload();
        Assert.Equal(1, datapath.Refused);

        // Another MTU, which drivers care about: tried again, and now it works. The one is there before the other goes.
        mtu = 1400;
        datapath.Refusal = null;
        datapath.Order.Clear();
        platform.Reload();
        Assert.Equal(["xdp/capture", "-tcx-edge/capture"], datapath.Order);
        Assert.Equal(("xdp", "physical device"), (Assert.Single(platform.Status().Interfaces).Hooks[^1], Assert.Single(platform.Status().Interfaces).WhyEdge));
    }

    [Fact]
    public void Errors_of_the_host_itself_are_mended_where_they_leave_and_on_loopback_when_backends_see_own_addresses()
    {
        using var bed = new AgentBed();
        bed.Write(AgentBed.LoadBalancer());
        using var datapath = new Journal();
        using var platform = bed.Start(datapath, () => [new HostInterface(1, "lo", true), new HostInterface(3, OpenedDatapath.CaptureInterface, false, "veth")]);
        Assert.Equal(["tcx-edge-out/capture"], datapath.Order.Where(o => o.Contains("edge-out", StringComparison.Ordinal)));

        datapath.Order.Clear();
        bed.Write(AgentBed.LoadBalancer() + "  sourceTranslation: {addresses: [10.0.0.254]}\n");
        platform.Reload();
        Assert.Equal(["tcx-edge-out/capture", "tcx-edge-out/lo"], datapath.Order.Where(o => o.Contains("edge-out", StringComparison.Ordinal)).Order());

        datapath.Order.Clear();
        bed.Write(AgentBed.RateLimit(5));
        platform.Reload();
        Assert.Equal(["-tcx-edge-out/capture", "-tcx-edge-out/lo"], datapath.Order.Where(o => o.Contains("edge-out", StringComparison.Ordinal)).Order());
    }

    [Fact]
    public void A_hook_that_is_asked_for_is_taken()
    {
        using var bed = new AgentBed();
        bed.Write(AgentBed.RateLimit(5).Replace("packetsPerSecond", "hook: tc, packetsPerSecond", StringComparison.Ordinal));
        using var datapath = new Journal();
        using var platform = bed.Start(datapath, () => [new HostInterface(3, OpenedDatapath.CaptureInterface, false)]);
        Assert.Contains("tcx-edge/capture", datapath.Order);
        Assert.Equal("asked for", Assert.Single(platform.Status().Interfaces).WhyEdge);
    }

    [Fact]
    public void What_this_host_opens_is_balanced_without_any_interface()
    {
        using var bed = new AgentBed();
        bed.Write(AgentBed.LoadBalancer().Replace("interfaces: [capture]", "fromThisHost: true", StringComparison.Ordinal));
        using var datapath = new Journal();
        using var platform = bed.Start(datapath, () => [new HostInterface(3, OpenedDatapath.CaptureInterface, false)]);
        string[] hooks = ["connect4", "connect6", "sendmsg4", "sendmsg6", "recvmsg4", "recvmsg6", "getpeername4", "getpeername6"];
        var directory = CgroupDirectory.Of("/");
        Assert.Equal(hooks.Select(h => $"cgroup/{h}:{directory}"), datapath.Order.Where(o => o.StartsWith("cgroup/", StringComparison.Ordinal)));

        bed.Write("# none");
        platform.Reload();
        Assert.DoesNotContain(datapath.Attached, a => a.Hook.Kind == HookKind.Cgroup);
    }

    /// <summary>The twin, with a journal of what is attached and detached, that may refuse XDP.</summary>
    private sealed class Journal : IDatapath
    {
        private readonly TwinDatapath _inner = new();

        public List<string> Order { get; } = [];

        public string? Refusal { get; set; }

        public int Refused { get; private set; }

        public string Name => _inner.Name;

        public IReadOnlyList<string> Notices => _inner.Notices;

        public IReadOnlyList<AttachedProgram> Attached => _inner.Attached;

        public IReadOnlyList<BpfMap> Maps => _inner.Maps;

        public void Open(IEnumerable<BpfMap> maps, Func<BpfMap, MapMigration> ruleOf) => _inner.Open(maps, ruleOf);

        public void Rehearse(IEnumerable<BpfMap> maps, Func<BpfMap, MapMigration> ruleOf) => _inner.Rehearse(maps, ruleOf);

        public void Settle() => _inner.Settle();

        public void Prepare(IReadOnlyCollection<BpfProgram> programs) => _inner.Prepare(programs);

        public void Attach(Hook hook, BpfProgram program)
        {
            if (hook.Kind == HookKind.Xdp && Refusal is not null)
            {
                Refused++;
                throw new BpfException(Refusal, -Errno.NotSupported);
            }

            _inner.Attach(hook, program);
            Order.Add(hook.ToString());
        }

        public void Detach(Hook hook)
        {
            _inner.Detach(hook);
            Order.Add("-" + hook);
        }

        public void Forget(BpfProgram program) => _inner.Forget(program);

        public void RemoveAll() => _inner.RemoveAll();

        public void Dispose() => _inner.Dispose();
    }
}
