using Skep.Flows;
using Skep.Packets;

namespace Skep.Tests.Flows;

public sealed class FlowTableTests
{
    [Fact]
    public void Drops_and_retransmits_are_joined_whichever_way_they_point()
    {
        using var bed = new FlowBed();
        bed.Send(FlowBed.Tcp(true, TcpFlags.Ack));
        var toUs = Key(FlowBed.Remote, 443, FlowBed.Local, 40000) with { Reason = 3, Interface = 3 };
        var fromUs = Key(FlowBed.Local, 40000, FlowBed.Remote, 443);
        bed.Drops.Totals.Set(in toUs, new KernelEventEntry { Count = 5, Detail = 0xFFFF });
        bed.Drops.Totals.Set(toUs with { Interface = 4 }, new KernelEventEntry { Count = 1 });
        bed.Drops.Totals.Set(fromUs with { Reason = 9 }, new KernelEventEntry { Count = 7 });
        bed.Drops.Totals.Set(fromUs with { RawPorts = 1 }, new KernelEventEntry { Count = 7 });
        bed.Retransmits.Totals.Set(in fromUs, new KernelEventEntry { Count = 2 });
        Assert.Equal([(9u, 7ul), (3u, 6ul)], bed.Only.Drops.Select(d => (d.Reason, d.Packets)));
        Assert.Equal(2ul, bed.Only.Retransmits);
    }

    [Fact]
    public void Filters_select()
    {
        using var bed = new FlowBed();
        bed.Send(FlowBed.Tcp(true, TcpFlags.Ack, bytes: 1000));
        bed.Receive(PacketBuilder.Ethernet().IPv4("203.0.113.5", FlowBed.Local).Udp(53, 5000));
        (FlowFilter Filter, int Count)[] cases =
        [
            (new(), 2),
            (new() { Address = IpPrefix.Parse("203.0.113.0/24") }, 1),
            (new() { Address = IpPrefix.Parse(FlowBed.Local) }, 2),
            (new() { From = IpPrefix.Parse(FlowBed.Local) }, 1),
            (new() { To = IpPrefix.Parse(FlowBed.Local) }, 1),
            (new() { To = IpPrefix.Parse("10.0.0.0/8") }, 0),
            (new() { Port = 443 }, 1),
            (new() { ToPort = 5000 }, 1),
            (new() { ToPort = 53 }, 0),
            (new() { Protocol = IpProtocol.Udp }, 1),
            (new() { Interface = 3 }, 2),
            (new() { Interface = 4 }, 0),
            (new() { State = FlowState.Opening }, 0),
            (new() { Dropped = false }, 2),
            (new() { Dropped = true }, 0),
            (new() { MinimumBytes = 1000 }, 1),
            (new() { MinimumRtt = TimeSpan.FromTicks(1) }, 0),
            (new() { MinimumRetransmits = 1 }, 0),
        ];
        Assert.All(cases, c => Assert.Equal(c.Count, bed.Table.Read(c.Filter).Length));
    }

    [Fact]
    public void The_top_is_ranked_as_asked()
    {
        using var bed = new FlowBed();
        bed.Send(PacketBuilder.Ethernet().IPv4(FlowBed.Local, FlowBed.Remote).Udp(1, 2).Payload(1000));
        for (var i = 0; i < 3; i++)
        {
            bed.Send(PacketBuilder.Ethernet().IPv4(FlowBed.Local, FlowBed.Remote).Udp(3, 4));
        }

        Assert.Equal(1, Assert.Single(bed.Table.Top(1)).LocalPort);
        Assert.Equal([3, 1], bed.Table.Top(5, FlowRank.Packets).Select(f => (int)f.LocalPort));
    }

    [Fact]
    public void Silent_flows_are_swept_and_told_when_they_had_not_ended()
    {
        using var bed = new FlowBed();
        bed.Send(FlowBed.Tcp(true, TcpFlags.Ack));
        bed.Receive(PacketBuilder.Ethernet().IPv4(FlowBed.Remote, FlowBed.Local).Udp(1, 2));
        bed.Receive(PacketBuilder.Ethernet().IPv4(FlowBed.Remote, FlowBed.Local).Tcp(1, 2, TcpFlags.Rst));
        bed.Wait(30_000);
        Assert.Empty(FlowBed.Swept(bed.Table));
        Assert.Equal(2, bed.Table.Read().Length);
        bed.Wait(40_000);
        var idle = Assert.Single(FlowBed.Swept(bed.Table));
        Assert.Equal((IpProtocol.Udp, FlowEnd.Idle), ((IpProtocol)idle.Key.Protocol, idle.End));
        bed.Wait(600_000);
        Assert.Single(FlowBed.Swept(bed.Table));
        Assert.Empty(bed.Table.Read());
    }

    [Fact]
    public void Reasons_have_the_names_of_the_running_kernel()
    {
        var reasons = new DropReasons([new(3, "NO_SOCKET")]);
        Assert.Equal(("NO_SOCKET", "77"), (reasons.NameOf(3), reasons.NameOf(77)));
        Assert.Equal("3", DropReasons.OfKernel(null).NameOf(3));
    }

    private static KernelEventKey Key(string source, ushort sourcePort, string destination, ushort destinationPort) => new()
    {
        Source = IpAddress.Parse(source),
        Destination = IpAddress.Parse(destination),
        RawPorts = NetworkUInt16.From(sourcePort).Raw | ((uint)NetworkUInt16.From(destinationPort).Raw << 16),
        Protocol = (uint)IpProtocol.Tcp,
    };
}
