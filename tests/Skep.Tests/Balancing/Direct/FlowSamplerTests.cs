using Skep.Balancing;
using Skep.Balancing.Adaptive;
using Skep.Edge;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Balancing.Direct;

/// <summary>What clients' packets tell of the time that backends take, whose answers pass by.</summary>
public sealed class FlowSamplerTests : IDisposable
{
    private const int Port = 4000;
    private const double Tick = 2e-6;

    private readonly EdgeBed _bed = new(EdgeBed.Small with
    {
        Balance = false, BlockAddresses = false, BlockPrefixes = false, MaxFlows = 65536, Direct = new DirectOptions { Measure = true, Sample = true },
    });

    private uint _sequence = 1000;
    private uint _acknowledged;

    public void Dispose() => _bed.Dispose();

    public static TheoryData<bool> Families => [true, false];

    [Theory]
    [MemberData(nameof(Families))]
    public void The_time_of_a_request_is_what_it_takes_beyond_the_handshake(bool isIPv4)
    {
        Connect(isIPv4, 20);
        Send(isIPv4, TcpFlags.Ack | TcpFlags.Psh, 100);
        Wait(70);

        // The backend has acknowledged the request, and the client more of the answer, twice.
        _acknowledged += 500;
        Send(isIPv4, TcpFlags.Ack);
        _acknowledged += 500;
        Send(isIPv4, TcpFlags.Ack);
        var reading = Read(isIPv4);
        Assert.Equal((1ul, 1ul, 1ul, 0L), (reading.Timed, reading.Requests, reading.Answers, reading.Waiting));
        Assert.Equal(0.020, reading.HandshakeSeconds, Tick);
        Assert.Equal(0.050, reading.ResponseSeconds, Tick);
        Assert.Equal(0.020, reading.TripSeconds, Tick);

        // The next one says by itself that the answer before it came.
        Send(isIPv4, TcpFlags.Ack | TcpFlags.Psh, 100);
        Wait(30);
        _acknowledged += 500;
        Send(isIPv4, TcpFlags.Ack | TcpFlags.Psh, 100);
        reading = Read(isIPv4);
        Assert.Equal((3ul, 2ul, 1L), (reading.Requests, reading.Answers, reading.Waiting));
        Assert.Equal(0.060, reading.ResponseSeconds, Tick);
    }

    [Fact]
    public void Data_sent_again_is_counted_and_neither_asks_nor_answers()
    {
        Connect(true, 20);
        Send(true, TcpFlags.Ack | TcpFlags.Psh, 100);
        _sequence -= 100;
        Wait(300);
        Send(true, TcpFlags.Ack | TcpFlags.Psh, 100);

        // Asks whether the other side is there: one byte that it has.
        _sequence -= 1;
        Send(true, TcpFlags.Ack, 1);
        Wait(20);
        _acknowledged += 50;
        Send(true, TcpFlags.Ack);
        var reading = Read(true);
        Assert.Equal((1ul, 1ul, 1ul), (reading.Retransmits, reading.Requests, reading.Answers));
        Assert.Equal(0.300, reading.ResponseSeconds, Tick);
    }

    [Fact]
    public void A_backend_that_hangs_up_has_not_answered()
    {
        Connect(true, 20);
        Send(true, TcpFlags.Ack | TcpFlags.Psh, 100);
        _acknowledged += 1;
        Send(true, TcpFlags.Ack);
        Send(true, TcpFlags.Ack | TcpFlags.Fin);
        var reading = Read(true);
        Assert.Equal((1ul, 0ul, 1ul, 0ul, 0L), (reading.Requests, reading.Answers, reading.Unanswered, reading.Abandoned, reading.Waiting));
    }

    [Fact]
    public void A_client_that_gives_up_leaves_nothing_waiting_and_one_that_only_ends_its_side_waits_on()
    {
        Connect(true, 20);
        Send(true, TcpFlags.Ack | TcpFlags.Psh, 100);
        Send(true, TcpFlags.Ack | TcpFlags.Fin);
        Assert.Equal(1, Read(true).Waiting);
        Send(true, TcpFlags.Rst);
        Assert.Equal((1ul, 0L), (Read(true).Abandoned, Read(true).Waiting));

        Connect(true, 20);
        Send(true, TcpFlags.Ack | TcpFlags.Psh, 100);
        Send(true, TcpFlags.Ack | TcpFlags.Fin);
        Wait(100);
        _acknowledged += 500;
        Send(true, TcpFlags.Ack);
        Assert.Equal((2ul, 1ul, 1ul, 0L), (Read(true).Requests, Read(true).Answers, Read(true).Abandoned, Read(true).Waiting));
    }

    [Fact]
    public void A_handshake_that_took_two_SYN_has_no_time_and_its_connection_none_either()
    {
        Apply();
        Send(true, TcpFlags.Syn);
        Wait(1000);
        Send(true, TcpFlags.Syn);
        Wait(20);
        _sequence++;
        Send(true, TcpFlags.Ack);
        Send(true, TcpFlags.Ack | TcpFlags.Psh, 100);
        Assert.Equal((0ul, 0ul), (Read(true).Timed, Read(true).Requests));
    }

    [Fact]
    public void Only_flows_are_looked_at_whose_hash_the_mask_spares()
    {
        Apply();
        _bed.State.Balancer.Sample(7);
        for (var i = 0; i < 800; i++)
        {
            Send(true, TcpFlags.Syn, port: 5000 + i);
            Send(true, TcpFlags.Ack, port: 5000 + i);
        }

        Assert.InRange(Read(true).Timed, 60ul, 140ul);
        Assert.Equal((800ul, 800ul), (Read(true).Opened, Read(true).Handshakes));
    }

    [Theory]
    [InlineData(0, 1, 0u)]
    [InlineData(200_000, 10, 0u)]
    [InlineData(210_000, 10, 1u)]
    [InlineData(10_000_000, 10, 63u)]
    public void The_mask_keeps_what_is_looked_at_below_a_rate(ulong packets, int seconds, uint mask)
    {
        var rate = new SampleRate();
        Assert.Equal(0u, rate.Next(1_000_000_000, TimeSpan.FromSeconds(10)));
        Assert.Equal(mask, rate.Next(1_000_000_000 + packets, TimeSpan.FromSeconds(seconds)));
    }

    [Theory]
    [InlineData(true, false, true)]
    [InlineData(false, true, true)]
    [InlineData(false, false, false)]
    public void Programs_sample_only_where_weights_or_ejections_follow_latency(bool adaptive, bool byLatency, bool expected)
    {
        var service = Service(true) with { Policy = new() { Adaptive = adaptive ? new() : null, Outliers = new() { LatencyFactor = byLatency ? 10 : null } } };
        Assert.Equal(expected, DirectPlan.For([new ServiceState(0, service, [new BackendState(1, service.Backends[0], 1)], 256)], [], 1)!.Sample);
        Assert.False(DirectPlan.For([new ServiceState(0, service with { Tracking = false }, [new BackendState(1, service.Backends[0], 1)], 256)], [], 1)!.Sample);
    }

    private static ServiceModel Service(bool isIPv4) =>
        EdgeBed.Service("web", isIPv4 ? "198.51.100.1" : "2001:db8::1", 80, IpProtocol.Tcp, EdgeBed.Backend("10.0.0.1", 80)) with
        {
            Forwarding = ForwardingMode.IpIp, Policy = new() { Adaptive = new() },
        };

    private void Apply()
    {
        _bed.State.Balancer.SetNextHops(new Dictionary<IpAddress, BackendPath> { [IpAddress.Parse("10.0.0.1")] = new(IpAddress.Parse("10.0.0.100"), 1500, 1) });
        Assert.Empty(_bed.State.Balancer.Apply([Service(true), Service(false)]));
    }

    private void Connect(bool isIPv4, int milliseconds)
    {
        Apply();
        Send(isIPv4, TcpFlags.Syn);
        Wait(milliseconds);
        _sequence++;
        _acknowledged += 7000;
        Send(isIPv4, TcpFlags.Ack);
    }

    private void Wait(int milliseconds) => _bed.Twin.Environment.Advance(TimeSpan.FromMilliseconds(milliseconds));

    private void Send(bool isIPv4, TcpFlags flags, uint bytes = 0, int port = Port)
    {
        var ethernet = PacketBuilder.Ethernet();
        var ip = isIPv4 ? ethernet.IPv4("192.0.2.1", "198.51.100.1") : ethernet.IPv6("2001:db8:c::1", "2001:db8::1");
        Assert.Equal(EdgeVerdict.Forwarded, _bed.Run(ip.Tcp((ushort)port, 80, flags, _sequence, _acknowledged).Payload(new byte[bytes]).Build()).Verdict);
        _sequence += bytes;
    }

    private BackendReading Read(bool isIPv4)
    {
        Assert.True(_bed.State.Balancer.TryGetId(Service(isIPv4).Key, IpAddress.Parse("10.0.0.1"), 80, out var id));
        return _bed.State.Balancer.ReadingOf(id);
    }
}
