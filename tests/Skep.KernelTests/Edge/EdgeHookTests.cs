using System.Net;
using Skep.Bpf;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Edge;
using Skep.Engine;
using Skep.Filtering;
using Skep.Flows;
using Skep.KernelTests.Surroundings;
using Skep.Packets;

namespace Skep.KernelTests.Edge;

/// <summary>The hooks of the edge on real devices.</summary>
public sealed class EdgeHookTests : IDisposable
{
    private static readonly EdgeOptions s_options = new()
    {
        RingSize = 251, MaxServices = 8, MaxBackends = 16, MaxConnections = 64, MaxBlockedAddresses = 16, MaxBlockedPrefixes = 16, MaxSources = 16, Balance = false,
    };

    private readonly TestPins _pins = new();
    private readonly EdgeMaps _edge = new(s_options);
    private readonly FlowMaps _flows = new();

    public void Dispose() => _pins.Dispose();

    [KernelTheory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_observes_an_interface_comes_after_the_edge_whichever_was_attached_first(bool edgeFirst)
    {
        using var path = new UdpPath();
        path.Right.Run(() =>
        {
            using var datapath = Open();
            Hook edge = new(HookKind.TcEdge, "right", path.RightInterface), observer = edge with { Kind = HookKind.TcIngress };
            foreach (var hook in edgeFirst ? new[] { edge, observer } : [observer, edge])
            {
                datapath.Attach(hook, hook == edge ? new TcEdgeProgram(_edge, s_options) : new FlowProgram(_flows, FlowHook.Ingress));
            }

            var state = new EdgeState(_edge, TimeProvider.System);
            Assert.Null(state.BlockList.Block(new(IpPrefix.Parse("10.77.0.1"))));
            path.Send(1);
            Eventually.True(() => state.ReadCounters()[EdgeVerdict.Blocked].Packets == 1, "the datagram was blocked");
            // The stack's own IPv6 messages pass and are seen.
            Assert.DoesNotContain(_flows.Table.Keys, k => k.Remote.ToString() == "10.77.0.1");

            Assert.True(state.BlockList.Unblock(IpPrefix.Parse("10.77.0.1")));
            Assert.Equal(2, path.SendAndReceive(2));
            Assert.Single(_flows.Table.Keys, k => k.Remote.ToString() == "10.77.0.1");
            datapath.RemoveAll();
        });
    }

    [KernelFact]
    public void A_device_that_refuses_native_XDP_takes_the_edge_at_traffic_control()
    {
        using var path = new UdpPath();

        // The other end of a veth sends what no page can hold together with its room.
        path.Left.Run(() => RtNetlink.SetMtu(path.LeftInterface, 9000));
        path.Right.Run(() =>
        {
            using var datapath = Open();
            var device = Assert.Single(HostInterfaces.List(), i => i.Name == "right");
            Assert.Equal(("veth", true, HookKind.TcEdge), (device.Kind, device.HasEthernetHeader, HookChoice.For(device, Resources.EdgeHook.Auto).Kind));
            var hook = new Hook(HookKind.Xdp, device.Name, device.Index);
            var refusal = Assert.Throws<BpfException>(() => datapath.Attach(hook, new EdgeProgram(_edge, s_options)));
            var choice = HookChoice.For(device, Resources.EdgeHook.Xdp, refusal.Message);
            Assert.Contains("XDP was refused", choice.Why, StringComparison.Ordinal);
            datapath.Attach(hook with { Kind = choice.Kind }, new TcEdgeProgram(_edge, s_options));
            Assert.Equal(3, path.SendAndReceive(3));
            Assert.NotEqual(0ul, new EdgeState(_edge, TimeProvider.System).ReadCounters()[EdgeVerdict.Passed].Packets);
            datapath.RemoveAll();
        });
    }

    [KernelFact]
    public void Devices_are_listed_with_what_the_choice_needs()
    {
        using var place = new TestNamespace();
        using var other = new TestNamespace();
        place.Connect(other, "here", "there", IPAddress.Parse("10.78.0.1"), IPAddress.Parse("10.78.0.2"));
        var devices = place.Run(NetworkDevice.List);
        Assert.True(Assert.Single(devices, d => d.IsLoopback) is { Name: "lo", Kind: "", HasEthernetHeader: true });
        Assert.True(Assert.Single(devices, d => d.Name == "here") is { Kind: "veth", IsLoopback: false, Mtu: 1500 });
    }

    private KernelDatapath Open()
    {
        var datapath = new KernelDatapath(new KernelDatapathOptions(_pins.Path("skep")));
        datapath.Open(_edge.All, _edge.MigrationOf);
        datapath.Open(_flows.All, _flows.MigrationOf);
        return datapath;
    }
}
