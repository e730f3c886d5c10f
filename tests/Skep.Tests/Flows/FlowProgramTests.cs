using Skep.Corpus;
using Skep.Flows;
using Skep.Packets;

namespace Skep.Tests.Flows;

public sealed class FlowProgramTests
{
    [Fact]
    public void Both_directions_are_one_flow()
    {
        using var bed = new FlowBed();
        var query = PacketBuilder.Ethernet().IPv4(FlowBed.Local, FlowBed.Remote).Udp(5000, 53).Payload(30);
        var answer = PacketBuilder.Ethernet().IPv4(FlowBed.Remote, FlowBed.Local).Udp(53, 5000).Payload(300);
        bed.Send(query);
        bed.Wait(20);
        bed.Receive(answer);
        bed.Receive(answer);
        bed.Wait(1000);
        var flow = bed.Only;
        Assert.Equal("192.0.2.1:5000 -> 198.51.100.7:53 Udp", flow.ToString());
        Assert.Equal((3u, IpProtocol.Udp, FlowState.Active), (flow.Interface, flow.Protocol, flow.State));
        Assert.Equal(new FlowTraffic(1, 72, 0, 0), flow.Sent);
        Assert.Equal(new FlowTraffic(2, 2 * 342, 0, 0), flow.Received);
        Assert.Equal((TimeSpan.FromMilliseconds(1020), TimeSpan.FromSeconds(1)), (flow.Age, flow.Idle));
    }

    [Fact]
    public void Super_packets_count_as_the_segments_they_become()
    {
        using var bed = new FlowBed();
        bed.Send(FlowBed.Tcp(true, TcpFlags.Ack, bytes: 4000), gsoSegments: 3);
        Assert.Equal(new FlowTraffic(3, 4000 + (3 * 54), TcpFlags.Ack, 0), bed.Only.Sent);
    }

    [Fact]
    public void Interfaces_ports_and_protocols_keep_flows_apart()
    {
        using var bed = new FlowBed();
        var ip = PacketBuilder.Ethernet().IPv4(FlowBed.Local, FlowBed.Remote);
        bed.Send(ip.Udp(1, 2));
        bed.Send(ip.Udp(1, 3));
        bed.Send(ip.Tcp(1, 2));
        bed.Send(ip.Icmp(8));
        bed.Twin.Run(bed.Out, ip.Udp(1, 2).Build(), new(Interface: 4));
        Assert.Equal(5, bed.Table.Read().Length);
        Assert.Equal(5ul, bed.Table.ReadCounters()[FlowCounter.Created]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_handshake_gives_the_round_trip_to_the_remote_side(bool outgoing)
    {
        using var bed = new FlowBed();
        Pass(bed, FlowBed.Tcp(outgoing, TcpFlags.Syn, 100, 0), outgoing);
        Assert.Equal(FlowState.Opening, bed.Only.State);
        bed.Wait(outgoing ? 30 : 2);
        Pass(bed, FlowBed.Tcp(!outgoing, TcpFlags.Syn | TcpFlags.Ack, 900, 101), !outgoing);
        bed.Wait(outgoing ? 2 : 30);
        Pass(bed, FlowBed.Tcp(outgoing, TcpFlags.Ack, 101, 901), outgoing);
        var flow = bed.Only;
        Assert.Equal((outgoing, FlowState.Established), (flow.IsOutgoing, flow.State));
        Assert.Equal(TimeSpan.FromMilliseconds(30), flow.HandshakeRtt);
        Assert.Equal(TimeSpan.FromMilliseconds(30), flow.Rtt);
        Assert.Equal(TimeSpan.FromMilliseconds(2), flow.LocalRtt);
    }

    [Fact]
    public void A_SYN_sent_twice_gives_no_round_trip_and_counts_as_sent_again()
    {
        using var bed = new FlowBed();
        bed.Send(FlowBed.Tcp(true, TcpFlags.Syn, 100, 0));
        bed.Wait(1000);
        bed.Send(FlowBed.Tcp(true, TcpFlags.Syn, 100, 0));
        bed.Wait(1);
        bed.Receive(FlowBed.Tcp(false, TcpFlags.Syn | TcpFlags.Ack, 900, 101));
        bed.Wait(2);
        bed.Send(FlowBed.Tcp(true, TcpFlags.Ack, 101, 901));
        Assert.Null(bed.Only.HandshakeRtt);
        Assert.Null(bed.Only.Rtt);
        Assert.Equal(TimeSpan.FromMilliseconds(2), bed.Only.LocalRtt);
        Assert.Equal(1u, bed.Only.Sent.Retransmits);
    }

    [Fact]
    public void A_port_used_again_without_an_end_begins_its_sequence_anew()
    {
        using var bed = new FlowBed();
        bed.Send(FlowBed.Tcp(true, TcpFlags.Syn, 2_000_000_000, 0));
        bed.Send(FlowBed.Tcp(true, TcpFlags.Ack, 2_000_000_001, bytes: 100));
        bed.Send(FlowBed.Tcp(true, TcpFlags.Syn, 1_000_000_000, 0));
        bed.Send(FlowBed.Tcp(true, TcpFlags.Ack, 1_000_000_001, bytes: 100));
        Assert.Equal(0u, bed.Only.Sent.Retransmits);
        bed.Send(FlowBed.Tcp(true, TcpFlags.Ack, 1_000_000_001, bytes: 100));
        Assert.Equal(1u, bed.Only.Sent.Retransmits);
    }

    [Fact]
    public void Sequence_numbers_wrap_without_looking_like_retransmits()
    {
        using var bed = new FlowBed();
        bed.Send(FlowBed.Tcp(true, TcpFlags.Ack, uint.MaxValue - 49, bytes: 100));
        bed.Send(FlowBed.Tcp(true, TcpFlags.Ack, 50, bytes: 100));
        Assert.Equal(0u, bed.Only.Sent.Retransmits);
    }

    [Fact]
    public void A_SYN_with_ECN_bits_after_the_end_is_another_flow()
    {
        using var bed = new FlowBed();
        bed.Send(FlowBed.Tcp(true, TcpFlags.Rst, 5, 0));
        Assert.Equal(FlowEnd.Reset, bed.Only.End);
        bed.Send(FlowBed.Tcp(true, TcpFlags.Syn | TcpFlags.Ece | TcpFlags.Cwr, 100, 0));
        Assert.Equal((FlowEnd.None, 1ul), (bed.Only.End, bed.Only.Packets));
    }

    [Fact]
    public void Timestamps_give_smoothed_and_shortest_round_trips()
    {
        using var bed = new FlowBed();
        double[] delays = [10, 18, 2];
        for (var i = 0; i < delays.Length; i++)
        {
            bed.Send(FlowBed.Tcp(true, TcpFlags.Ack, (uint)(1 + (i * 100)), bytes: 100, stamp: ((uint)(50 + i), 9)));
            bed.Wait(delays[i]);
            bed.Receive(FlowBed.Tcp(false, TcpFlags.Ack, stamp: (9, (uint)(50 + i))));
            bed.Wait(100);
        }

        var smoothed = 10.0;
        smoothed += (18 - smoothed) / 8;
        smoothed += (2 - smoothed) / 8;
        Assert.Equal(smoothed, bed.Only.Rtt!.Value.TotalMilliseconds, 0.001);
        Assert.Equal(TimeSpan.FromMilliseconds(2), bed.Only.MinimumRtt);
        Assert.Null(bed.Only.LocalRtt);
    }

    [Fact]
    public void Bare_acknowledgments_retransmits_and_repeated_values_are_not_measured()
    {
        using var bed = new FlowBed();
        bed.Send(FlowBed.Tcp(true, TcpFlags.Ack, stamp: (50, 9)));
        bed.Wait(5000);
        bed.Receive(FlowBed.Tcp(false, TcpFlags.Ack, bytes: 10, stamp: (9, 50)));
        Assert.Null(bed.Only.Rtt);

        bed.Send(FlowBed.Tcp(true, TcpFlags.Ack, 1, bytes: 100, stamp: (51, 9)));
        bed.Send(FlowBed.Tcp(true, TcpFlags.Ack, 1, bytes: 100, stamp: (52, 9)));
        bed.Receive(FlowBed.Tcp(false, TcpFlags.Ack, 11, stamp: (9, 52)));
        Assert.Null(bed.Only.Rtt);
        Assert.Equal(1u, bed.Only.Sent.Retransmits);

        bed.Send(FlowBed.Tcp(true, TcpFlags.Ack, 101, bytes: 100, stamp: (53, 9)));
        bed.Wait(10);
        bed.Receive(FlowBed.Tcp(false, TcpFlags.Ack, 11, stamp: (9, 53)));
        bed.Send(FlowBed.Tcp(true, TcpFlags.Ack, 201, bytes: 100, stamp: (53, 9)));
        bed.Receive(FlowBed.Tcp(false, TcpFlags.Ack, 11, stamp: (9, 53)));
        Assert.Equal(TimeSpan.FromMilliseconds(10), bed.Only.MinimumRtt);
    }

    [Fact]
    public void Data_sent_again_is_suspected_and_sequence_numbers_may_wrap()
    {
        using var bed = new FlowBed();
        bed.Send(FlowBed.Tcp(true, TcpFlags.Ack, uint.MaxValue - 50, bytes: 100));
        bed.Send(FlowBed.Tcp(true, TcpFlags.Ack, 49, bytes: 100));
        Assert.Equal(0u, bed.Only.Sent.Retransmits);
        bed.Send(FlowBed.Tcp(true, TcpFlags.Ack, uint.MaxValue - 50, bytes: 100));
        Assert.Equal(1u, bed.Only.Sent.Retransmits);
        bed.Send(FlowBed.Tcp(true, TcpFlags.Ack, 149));
        Assert.Equal(1u, bed.Only.Sent.Retransmits);
    }

    [Fact]
    public void Padding_of_short_frames_is_not_data()
    {
        using var bed = new FlowBed();
        byte[] padded = [.. FlowBed.Tcp(false, TcpFlags.Ack, 10).Build(), .. new byte[6]];
        bed.Run(bed.In, padded);
        bed.Run(bed.In, padded);
        Assert.Equal(0u, bed.Only.Received.Retransmits);
    }

    [Theory]
    [InlineData(TcpFlags.Fin, FlowEnd.Finished, FlowState.Finished)]
    [InlineData(TcpFlags.Rst, FlowEnd.Reset, FlowState.Reset)]
    public void An_end_is_told_once(TcpFlags last, FlowEnd end, FlowState state)
    {
        using var bed = new FlowBed();
        bed.Send(FlowBed.Tcp(true, TcpFlags.Fin | TcpFlags.Ack));
        Assert.Equal(FlowState.Closing, bed.Only.State);
        bed.Receive(FlowBed.Tcp(false, last | TcpFlags.Ack));
        bed.Receive(FlowBed.Tcp(false, last | TcpFlags.Ack));
        Assert.Equal((end, state), (bed.Only.End, bed.Only.State));
        var told = bed.Table.OfEvent(Assert.Single(bed.Maps.Ended.Drain()));
        Assert.Equal((end, 1ul, 1ul), (told.End, told.Entry.Sent.Packets, told.Entry.Received.Packets));
    }

    [Fact]
    public void Ports_used_again_after_the_end_are_another_flow()
    {
        using var bed = new FlowBed();
        bed.Receive(FlowBed.Tcp(false, TcpFlags.Rst));
        bed.Send(FlowBed.Tcp(true, TcpFlags.Syn));
        var flow = bed.Only;
        Assert.Equal((FlowEnd.None, FlowState.Opening, 1ul, 0ul), (flow.End, flow.State, flow.Sent.Packets, flow.Received.Packets));
    }

    [Fact]
    public void Lost_events_are_counted()
    {
        using var bed = new FlowBed(eventBytes: 4096);
        for (ushort port = 1; port <= 40; port++)
        {
            bed.Receive(PacketBuilder.Ethernet().IPv4(FlowBed.Remote, FlowBed.Local).Tcp(port, 80, TcpFlags.Rst));
        }

        Assert.Equal(40ul, (ulong)bed.Maps.Ended.Drain().Count + bed.Table.ReadCounters()[FlowCounter.LostEvents]);
        Assert.NotEqual(0ul, bed.Table.ReadCounters()[FlowCounter.LostEvents]);
    }

    [Fact]
    public void What_is_no_flow_is_counted()
    {
        using var bed = new FlowBed();
        bed.Receive(PacketBuilder.Ethernet().Arp(1, FlowBed.Remote, FlowBed.Local));
        bed.Run(bed.In, PacketBuilder.Ethernet().IPv4(FlowBed.Remote, FlowBed.Local).Tcp(1, 2).Build()[..50]);
        bed.Run(bed.In, PacketBuilder.Ethernet().IPv4(FlowBed.Remote, FlowBed.Local).Udp(1, 2).Build()[..40]);
        Assert.Empty(bed.Table.Read());
        Assert.Equal((1ul, 2ul), (bed.Table.ReadCounters()[FlowCounter.NotIp], bed.Table.ReadCounters()[FlowCounter.Malformed]));
    }

    [Fact]
    public void The_corpus_and_all_its_truncations_are_observed_only()
    {
        using var bed = new FlowBed();
        foreach (var packet in FlowCorpus.Packets)
        {
            var program = packet.Expected == "Egress" ? bed.Out : bed.In;
            bed.Run(program, packet.Frame);
            for (var length = 14; length < packet.Frame.Length; length++)
            {
                bed.Run(program, packet.Frame[..length]);
            }
        }
    }

    private static void Pass(FlowBed bed, PacketBuilder packet, bool sent)
    {
        if (sent)
        {
            bed.Send(packet);
        }
        else
        {
            bed.Receive(packet);
        }
    }
}
