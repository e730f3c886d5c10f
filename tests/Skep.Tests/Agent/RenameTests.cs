using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Skep.Agent;
using Skep.Bpf.Programming;
using Skep.Engine;
using Skep.Packets;

namespace Skep.Tests.Agent;

/// <summary>What is enforced by name while names of interfaces change under it.</summary>
public class RenameTests
{
    private readonly NamedInterfaces _named = new();

    [Fact]
    public void A_renamed_interface_keeps_what_was_asked_for_under_its_old_name()
    {
        using var bed = new AgentBed();
        bed.Write(AgentBed.BlockList("203.0.113.7"));
        HostInterface[] present = [new(1, "capture", false)];
        var opened = OpenedDatapath.Open(bed.Options, TimeProvider.System) with { Interfaces = () => present };
        var twin = (TwinDatapath)opened.Datapath;
        using var platform = new Platform(bed.Options, opened, TimeProvider.System, NullLogger<Platform>.Instance);
        platform.Start();

        present = [new(1, "wan0", false)];
        platform.Reload();
        Assert.Equal(XdpAction.Drop, Send(1));
        var status = platform.Status();
        Assert.Contains(status.Notices, n => n.Contains("'capture' is called 'wan0' now", StringComparison.Ordinal));
        Assert.Contains(status.Programs, p => p.Hook == "xdp/wan0");
        Assert.Equal(["tcx-egress", "tcx-ingress", "xdp"], status.Interfaces.Single().Hooks);

        // Another one takes the name: that is the one meant from now on.
        present = [new(1, "wan0", false), new(2, "capture", false)];
        platform.Reload();
        Assert.Equal((XdpAction.Pass, XdpAction.Drop), (Send(1), Send(2)));
        Assert.DoesNotContain(platform.Status().Notices, n => n.Contains("is called", StringComparison.Ordinal));

        XdpAction Send(int index) => twin.Pass(
            present.Single(i => i.Index == index).Name, index, PacketBuilder.Ethernet().IPv4("203.0.113.7", "192.0.2.1").Udp(1, 2).Build(), outgoing: false);
    }

    [Fact]
    public void Two_that_change_names_are_known_by_their_names_of_now()
    {
        Assert.Equal("1:a 2:b", Resolve(["a", "b"], (1, "a"), (2, "b")));
        Assert.Equal("1:b 2:a", Resolve(["a", "b"], (1, "b"), (2, "a")));
    }

    [Fact]
    public void An_interface_asked_for_by_its_new_name_is_no_longer_the_old_one()
    {
        Assert.Equal("1:a", Resolve(["a"], (1, "a")));
        Assert.Equal("1:x", Resolve(["a", "x"], (1, "x")));
        Assert.Equal("1:a", Resolve(["a"], (1, "x")));
    }

    [Fact]
    public void A_name_that_was_given_up_stands_for_nothing_when_it_is_asked_for_again()
    {
        Assert.Equal("1:a", Resolve(["a"], (1, "a")));
        Assert.Equal("1:x", Resolve(["x"], (1, "x")));
        Assert.Equal("", Resolve(["a"], (1, "x")));
    }

    [Fact]
    public void What_an_earlier_agent_pinned_under_a_name_counts_and_dots_do_not_matter()
    {
        _named.Remember("eth0_100", 7);
        Assert.Equal("7:eth0.100", Resolve(["eth0.100"], (7, "vlan100")));
        Assert.Equal("", Resolve(["eth0.100"], (8, "vlan100")));
    }

    private string Resolve(string[] names, params (int Index, string Name)[] present) =>
        string.Join(' ', _named.Resolve(names, [.. present.Select(p => new HostInterface(p.Index, p.Name, false))]).OrderBy(n => n.Key).Select(n => $"{n.Key}:{n.Value}"));
}
