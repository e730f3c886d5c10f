using Skep.Balancing;
using Skep.Edge;
using Skep.Filtering;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Filtering;

public sealed class RateLimitTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_burst_passes_and_what_exceeds_it_is_dropped(bool balance)
    {
        using var bed = new EdgeBed(EdgeBed.Small with { Balance = balance, RateLimit = new SourceRate(100, 5) });
        Assert.Equal(5, Admitted(bed, From("10.0.0.1"), 50));
        Assert.Equal(5, Admitted(bed, From("10.0.0.2"), 50));
    }

    [Fact]
    public void Tokens_come_back_at_the_rate_and_never_exceed_the_burst()
    {
        using var bed = new EdgeBed(EdgeBed.Small with { RateLimit = new SourceRate(100, 5) });
        Admitted(bed, From("10.0.0.1"), 50);
        bed.Twin.Environment.Advance(TimeSpan.FromMilliseconds(30));
        Assert.Equal(3, Admitted(bed, From("10.0.0.1"), 50));
        bed.Twin.Environment.Advance(TimeSpan.FromHours(1));
        Assert.Equal(5, Admitted(bed, From("10.0.0.1"), 50));
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1000, 1)]
    [InlineData(1000, 100)]
    [InlineData(300_000, 1000)]
    public void Over_a_long_flood_the_rate_holds(uint rate, uint burst)
    {
        using var bed = new EdgeBed(EdgeBed.Small with { RateLimit = new SourceRate(rate, burst) });
        var frame = From("10.0.0.1");
        var step = TimeSpan.FromTicks(TimeSpan.TicksPerSecond * 100 / rate);
        Admitted(bed, frame, (int)burst * 2);
        var admitted = 0;
        for (var i = 0; i < 20; i++)
        {
            bed.Twin.Environment.Advance(step);
            admitted += Admitted(bed, frame, 300);
        }

        var expected = 20 * (int)Math.Min(100, burst);
        Assert.InRange(admitted, expected, expected + 1);
    }

    [Fact]
    public void Answers_of_backends_are_exempt()
    {
        using var bed = new EdgeBed(EdgeBed.Small with { RateLimit = new SourceRate(1, 2) }, state => state.Balancer.Apply(
            [EdgeBed.Service("web", "198.51.100.1", 80, IpProtocol.Tcp, EdgeBed.Backend("10.1.0.1", 8080))]));
        Assert.Equal(EdgeVerdict.Forwarded, bed.Verdict(PacketBuilder.Ethernet().IPv4("10.0.0.1", "198.51.100.1").Tcp(4000, 80, TcpFlags.Syn).Build()));
        var answer = PacketBuilder.Ethernet().IPv4("10.1.0.1", "10.0.0.1").Tcp(8080, 4000).Build();
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(EdgeVerdict.Replied, bed.Verdict(answer));
        }
    }

    [Fact]
    public void Packets_of_every_kind_are_limited()
    {
        byte[][] kinds =
        [
            PacketBuilder.Ethernet().IPv4("10.0.0.1", "192.0.2.1").Tcp(1, 2).Build(),
            PacketBuilder.Ethernet().IPv4("10.0.0.1", "192.0.2.1").Icmp(8).Build(),
            PacketBuilder.Ethernet().IPv4("10.0.0.1", "192.0.2.1", fragmentOffset: 8, protocol: IpProtocol.Udp).Payload(8).Build(),
            PacketBuilder.Ethernet().IPv6("2001:db8::1", "2001:db8::2").Udp(1, 2).Build(),
        ];
        foreach (var frame in kinds)
        {
            using var bed = new EdgeBed(EdgeBed.Small with { RateLimit = new SourceRate(1, 1) });
            Assert.Equal(EdgeVerdict.Passed, bed.Verdict(frame));
            Assert.Equal(EdgeVerdict.RateLimited, bed.Verdict(frame));
        }
    }

    [Fact]
    public void A_source_that_a_slower_limit_refused_for_hours_keeps_to_the_new_one_at_once()
    {
        using var bed = new EdgeBed(EdgeBed.Small with { RateLimit = new SourceRate(1, 3600) });
        var frame = From("10.0.0.1");
        Admitted(bed, frame, 4000);
        var faster = new EdgeProgram(bed.Maps, bed.Options with { RateLimit = new SourceRate(1000, 10) });
        Assert.Equal(Bpf.Programming.XdpAction.Drop, bed.Twin.Run(faster, frame).Action);
        bed.Twin.Environment.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(Bpf.Programming.XdpAction.Pass, bed.Twin.Run(faster, frame).Action);
        Assert.Equal(Bpf.Programming.XdpAction.Drop, bed.Twin.Run(faster, frame).Action);
    }

    [Fact]
    public void A_million_packets_per_second_are_a_million()
    {
        using var bed = new EdgeBed(EdgeBed.Small with { RateLimit = new SourceRate(1_000_000, 1) });
        var frame = From("10.0.0.1");
        var admitted = 0;
        for (var i = 0; i < 3000; i++)
        {
            bed.Twin.Environment.Advance(TimeSpan.FromTicks(5));
            admitted += bed.Twin.Run(bed.Program, frame).Action == Bpf.Programming.XdpAction.Pass ? 1 : 0;
        }

        Assert.Equal(1500, admitted);
    }

    [Fact]
    public void A_limit_of_nothing_is_refused()
    {
        var maps = new EdgeMaps(EdgeBed.Small);
        Assert.Throws<ArgumentOutOfRangeException>(() => new RateLimitStage(maps.Sources, new SourceRate(0, 1)));
        Assert.Throws<ArgumentOutOfRangeException>(() => new RateLimitStage(maps.Sources, new SourceRate(1, 0)));
    }

    private static int Admitted(EdgeBed bed, byte[] frame, int packets) =>
        Enumerable.Range(0, packets).Count(_ => bed.Verdict(frame) != EdgeVerdict.RateLimited);

    private static byte[] From(string source) => PacketBuilder.Ethernet().IPv4(source, "192.0.2.1").Udp(1, 2).Build();
}
