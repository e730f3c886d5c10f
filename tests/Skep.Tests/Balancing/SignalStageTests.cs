using Skep.Balancing;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Balancing;

public sealed class SignalStageTests : IDisposable
{
    private const double Tick = 1.024e-6;

    private readonly EdgeBed _bed = new(prepare: s => s.Balancer.Apply(
    [
        EdgeBed.Service("web", "198.51.100.1", 80, IpProtocol.Tcp, EdgeBed.Backend("10.1.0.1", 8080)),
        EdgeBed.Service("web6", "2001:db8:f::1", 80, IpProtocol.Tcp, EdgeBed.Backend("2001:db8:b::1", 8080)),
        EdgeBed.Service("dns", "198.51.100.1", 53, IpProtocol.Udp, EdgeBed.Backend("10.1.0.1", 5353)),
        EdgeBed.Service("dns6", "2001:db8:f::1", 53, IpProtocol.Udp, EdgeBed.Backend("2001:db8:b::1", 5353)),
    ]));

    public void Dispose() => _bed.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Handshake_and_first_byte_are_timed(bool v6)
    {
        Client(v6, TcpFlags.Syn);
        After(300);
        Backend(v6, TcpFlags.Syn | TcpFlags.Ack);
        Client(v6, TcpFlags.Ack);
        After(5000);
        Client(v6, TcpFlags.Psh | TcpFlags.Ack, payload: 100);
        After(2000);
        Backend(v6, TcpFlags.Ack);
        Assert.Equal(1, Reading(v6).Waiting);
        After(40_000);
        Backend(v6, TcpFlags.Psh | TcpFlags.Ack, payload: 1);
        After(100);
        Backend(v6, TcpFlags.Psh | TcpFlags.Ack, payload: 1000);

        var reading = Reading(v6);
        Assert.Equal((1ul, 1ul, 1ul, 1ul), (reading.Opened, reading.Handshakes, reading.Requests, reading.Answers));
        Assert.Equal(0.0003, reading.HandshakeSeconds, 2 * Tick);
        Assert.Equal(0.042, reading.ResponseSeconds, 2 * Tick);
        Assert.Equal(0, reading.Waiting);
        Assert.Equal([(Bucket(0.0003), 1ul), (BackendHistograms.Buckets + Bucket(0.042), 1ul)], Counts(v6));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_query_by_UDP_is_a_request_and_its_answer_the_first_byte(bool v6)
    {
        Query(v6);
        Assert.Equal(1, Reading(v6, udp: true).Waiting);
        After(700);
        Answer(v6);
        Answer(v6);
        var reading = Reading(v6, udp: true);
        Assert.Equal((0ul, 1ul, 1ul), (reading.Opened, reading.Requests, reading.Answers));
        Assert.Equal(0.0007, reading.ResponseSeconds, 2 * Tick);
    }

    [Fact]
    public void In_a_connection_that_goes_on_a_request_a_second_is_timed()
    {
        Established();
        for (var second = 0; second < 3; second++)
        {
            for (var request = 0; request < 10; request++)
            {
                Client(false, TcpFlags.Psh | TcpFlags.Ack, payload: 10);
                After(1000);
                Backend(false, TcpFlags.Psh | TcpFlags.Ack, payload: 10);
            }

            _bed.State.Connections.Tick(1);
        }

        var reading = Reading(false);
        Assert.Equal((3ul, 3ul), (reading.Requests, reading.Answers));
        Assert.Equal(0.003, reading.ResponseSeconds, 4 * Tick);
    }

    [Fact]
    public void A_refusal_is_told_from_a_reset()
    {
        Client(false, TcpFlags.Syn);
        Backend(false, TcpFlags.Rst | TcpFlags.Ack);
        Assert.Equal((1ul, 0ul, 1ul), (Reading(false).Refused, Reading(false).Resets, Reading(false).Closed));

        Client(false, TcpFlags.Syn);
        Backend(false, TcpFlags.Syn | TcpFlags.Ack);
        Client(false, TcpFlags.Psh | TcpFlags.Ack, payload: 10);
        Backend(false, TcpFlags.Rst);
        Backend(false, TcpFlags.Rst);
        var reading = Reading(false);
        Assert.Equal((1ul, 1ul, 2ul, 1ul), (reading.Refused, reading.Resets, reading.Closed, reading.Unanswered));
        Assert.Equal(0, reading.Waiting);
    }

    [Fact]
    public void A_SYN_that_comes_again_is_counted_and_the_handshake_is_timed_from_the_first()
    {
        Client(false, TcpFlags.Syn);
        After(1_000_000);
        Client(false, TcpFlags.Syn);
        After(500);
        Backend(false, TcpFlags.Syn | TcpFlags.Ack);
        var reading = Reading(false);
        Assert.Equal((1ul, 1ul, 1ul), (reading.Opened, reading.SynRepeats, reading.Handshakes));
        Assert.Equal(1.0005, reading.HandshakeSeconds, 2 * Tick);
    }

    [Fact]
    public void A_connection_is_closed_once_whoever_ends_it()
    {
        Established();
        Client(false, TcpFlags.Psh | TcpFlags.Ack, payload: 10);
        Backend(false, TcpFlags.Psh | TcpFlags.Ack, payload: 10);
        Client(false, TcpFlags.Fin | TcpFlags.Ack);
        Assert.Equal(0ul, Reading(false).Closed);
        Backend(false, TcpFlags.Fin | TcpFlags.Ack);
        Client(false, TcpFlags.Fin | TcpFlags.Ack);
        Client(false, TcpFlags.Ack);
        var reading = Reading(false);
        Assert.Equal((1ul, 0ul, 0ul, 0ul), (reading.Closed, reading.Resets, reading.Unanswered, reading.Abandoned));
    }

    [Fact]
    public void A_client_that_goes_away_before_its_answer_is_no_fault_of_the_backend()
    {
        Established();
        Client(false, TcpFlags.Psh | TcpFlags.Ack, payload: 10);
        Client(false, TcpFlags.Rst);
        var reading = Reading(false);
        Assert.Equal((1ul, 1ul, 0ul, 0ul), (reading.Closed, reading.Abandoned, reading.Unanswered, reading.Resets));
        Assert.Equal(0, reading.Waiting);
    }

    [Fact]
    public void A_backend_that_hangs_up_on_a_request_leaves_it_unanswered()
    {
        Established();
        Client(false, TcpFlags.Psh | TcpFlags.Ack, payload: 10);
        Backend(false, TcpFlags.Fin | TcpFlags.Ack);
        Assert.Equal((1ul, 0), (Reading(false).Unanswered, Reading(false).Waiting));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Port_unreachable_refuses_a_query(bool v6)
    {
        Query(v6);
        var sent = v6
            ? PacketBuilder.Bare().IPv6("2001:db8:c::1", "2001:db8:b::1").Udp(5000, 5353).Payload(8)
            : PacketBuilder.Bare().IPv4("192.0.2.10", "10.1.0.1").Udp(5000, 5353).Payload(8);
        _bed.Run(v6
            ? PacketBuilder.Ethernet().IPv6("2001:db8:b::1", "2001:db8:c::1").Icmp(1, 4).Payload(sent).Build()
            : PacketBuilder.Ethernet().IPv4("10.1.0.1", "192.0.2.10").Icmp(3, 3).Payload(sent).Build());
        var reading = Reading(v6, udp: true);
        Assert.Equal((1ul, 1ul, 0), (reading.Refused, reading.Unanswered, reading.Waiting));
    }

    [Fact]
    public void A_packet_in_the_middle_of_a_connection_opens_none()
    {
        Client(false, TcpFlags.Ack);
        Backend(false, TcpFlags.Ack);
        Assert.Equal((0ul, 0ul), (Reading(false).Opened, Reading(false).Handshakes));
        Assert.Equal(1ul, _bed.State.Balancer.TrafficOf(_bed.State.Balancer.Services[0].Backends[0].Id).Connections);
    }

    [Fact]
    public void Open_connections_are_counted_anew_by_a_sweep_and_carried_on_from_there()
    {
        long Active() => _bed.State.Connections.OpenOf(Id(false, udp: false));
        Established();
        Assert.Equal(1, Active());
        // The kernel forgets entries of a full table without telling.
        _bed.Connections.Clear();
        Assert.Equal(1, Active());
        _bed.State.Connections.Sweep();
        Assert.Equal(0, Active());
        Established();
        Assert.Equal(1, Active());
        _bed.State.Connections.Sweep();
        Assert.Equal(1, Active());
        Client(false, TcpFlags.Rst);
        Assert.Equal(0, Active());
        Query(false);
        _bed.State.Connections.Sweep();
        Assert.Equal(1, _bed.State.Connections.OpenOf(Id(false, udp: true)));
    }

    [Fact]
    public void Padding_of_a_short_frame_is_no_data()
    {
        Established();
        var ack = PacketBuilder.Ethernet().IPv4("192.0.2.10", "198.51.100.1").Tcp(40000, 80, TcpFlags.Ack).Build();
        _bed.Run([.. ack, .. new byte[6]]);
        Assert.Equal(0ul, Reading(false).Requests);
    }

    [Fact]
    public void A_backend_that_takes_the_number_of_another_begins_at_zero()
    {
        using var bed = new EdgeBed(EdgeBed.Small with { MaxBackends = 1 });
        void Serve(string address) => bed.State.Balancer.Apply([EdgeBed.Service("web", "198.51.100.1", 80, IpProtocol.Tcp, EdgeBed.Backend(address, 80))]);
        Serve("10.1.0.1");
        bed.Run(PacketBuilder.Ethernet().IPv4("192.0.2.10", "198.51.100.1").Tcp(1, 80, TcpFlags.Syn).Build());
        bed.Run(PacketBuilder.Ethernet().IPv4("10.1.0.1", "192.0.2.10").Tcp(80, 1, TcpFlags.Syn | TcpFlags.Ack).Build());
        Assert.Equal(1ul, bed.State.Balancer.ReadingOf(1).Handshakes);
        bed.State.Balancer.Apply([]);
        Serve("10.1.0.2");
        Assert.Equal(default, bed.State.Balancer.ReadingOf(1));
        Assert.DoesNotContain(1ul, bed.State.Balancer.HistogramsOf(1).ToArray());
    }

    [Fact]
    public void Without_measuring_nothing_is_counted()
    {
        using var bed = new EdgeBed(EdgeBed.Small with { Measure = false }, s => s.Balancer.Apply(
            [EdgeBed.Service("web", "198.51.100.1", 80, IpProtocol.Tcp, EdgeBed.Backend("10.1.0.1", 80))]));
        bed.Run(PacketBuilder.Ethernet().IPv4("192.0.2.10", "198.51.100.1").Tcp(1, 80, TcpFlags.Syn).Build());
        Assert.Equal(default, bed.State.Balancer.ReadingOf(1));
        Assert.True(bed.State.Balancer.HistogramsOf(1).IsEmpty);
    }

    [Fact]
    public void The_buckets_of_a_histogram_double()
    {
        Assert.Equal(1.024e-6, BackendHistograms.UpperSeconds(0), 1e-12);
        Assert.Equal(2 * BackendHistograms.UpperSeconds(9), BackendHistograms.UpperSeconds(10));
        Assert.Equal(double.PositiveInfinity, BackendHistograms.UpperSeconds(BackendHistograms.Buckets - 1));
    }

    private static int Bucket(double seconds) => Enumerable.Range(0, BackendHistograms.Buckets).First(b => seconds < BackendHistograms.UpperSeconds(b));

    private void Established()
    {
        Client(false, TcpFlags.Syn);
        Backend(false, TcpFlags.Syn | TcpFlags.Ack);
        Client(false, TcpFlags.Ack);
    }

    private void After(int microseconds) => _bed.Twin.Environment.Advance(TimeSpan.FromMicroseconds(microseconds));

    private void Client(bool v6, TcpFlags flags, int payload = 0) =>
        Pass((v6 ? PacketBuilder.Ethernet().IPv6("2001:db8:c::1", "2001:db8:f::1") : PacketBuilder.Ethernet().IPv4("192.0.2.10", "198.51.100.1")).Tcp(40000, 80, flags).Payload(payload), "Forwarded");

    private void Backend(bool v6, TcpFlags flags, int payload = 0) =>
        Pass((v6 ? PacketBuilder.Ethernet().IPv6("2001:db8:b::1", "2001:db8:c::1") : PacketBuilder.Ethernet().IPv4("10.1.0.1", "192.0.2.10")).Tcp(8080, 40000, flags).Payload(payload), "Replied");

    private void Query(bool v6) =>
        Pass((v6 ? PacketBuilder.Ethernet().IPv6("2001:db8:c::1", "2001:db8:f::1") : PacketBuilder.Ethernet().IPv4("192.0.2.10", "198.51.100.1")).Udp(5000, 53).Payload(20), "Forwarded");

    private void Answer(bool v6) =>
        Pass((v6 ? PacketBuilder.Ethernet().IPv6("2001:db8:b::1", "2001:db8:c::1") : PacketBuilder.Ethernet().IPv4("10.1.0.1", "192.0.2.10")).Udp(5353, 5000).Payload(40), "Replied");

    private void Pass(PacketBuilder packet, string verdict) => Assert.Equal(verdict, _bed.Verdict(packet.Build()).ToString());

    private BackendReading Reading(bool v6, bool udp = false) => _bed.State.Balancer.ReadingOf(Id(v6, udp));

    private uint Id(bool v6, bool udp) => _bed.State.Balancer.Services[(udp ? 2 : 0) + (v6 ? 1 : 0)].Backends[0].Id;

    private (int Bucket, ulong Count)[] Counts(bool v6) =>
        [.. _bed.State.Balancer.HistogramsOf(Id(v6, udp: false)).ToArray().Select((c, i) => (i, c)).Where(c => c.c != 0)];
}
