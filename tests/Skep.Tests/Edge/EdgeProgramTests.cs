using System.Globalization;
using Skep.Bpf.Programming;
using Skep.Bpf.Twin;
using Skep.Corpus;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Tests.Edge;

public sealed class EdgeProgramTests
{
    [Fact]
    public void Every_packet_of_the_corpus_gets_its_verdict()
    {
        using var bed = new EdgeBed(EdgeCorpus.Options, EdgeCorpus.Prepare);
        bed.Twin.Environment.Advance(TimeSpan.FromSeconds(1));
        var wrong = EdgeCorpus.Packets
            .Select(p => (p.Name, p.Expected, Actual: bed.Verdict(p.Frame).ToString()))
            .Where(p => p.Expected != p.Actual);
        Assert.Empty(wrong.Select(p => string.Create(CultureInfo.InvariantCulture, $"{p.Name}: {p.Actual}, not {p.Expected}")));
    }

    [Fact]
    public void The_corpora_reach_every_verdict_but_those_that_need_a_flood_or_are_a_backends()
    {
        var reached = EdgeCorpus.Packets.Select(p => Enum.Parse<EdgeVerdict>(p.Expected)).Concat(DirectTable.All.Values.SelectMany(t => t.Cases).Select(c => c.Verdict)).ToHashSet();
        Assert.Equal([EdgeVerdict.RateLimited, EdgeVerdict.TableFull, EdgeVerdict.Decapsulated, EdgeVerdict.TunnelRefused, EdgeVerdict.PortsExhausted, EdgeVerdict.SentOn, EdgeVerdict.ServiceLimited, EdgeVerdict.Held], Enum.GetValues<EdgeVerdict>().Except(reached));
    }

    [Fact]
    public void Names_of_the_corpus_are_unique() => Assert.Equal(EdgeCorpus.Packets.Count, EdgeCorpus.Packets.DistinctBy(p => p.Name).Count());

    [Fact]
    public void Every_checksum_is_right_after_a_rewrite()
    {
        using var bed = new EdgeBed(EdgeCorpus.Options, EdgeCorpus.Prepare);
        EdgeVerdict[] rewritten = [EdgeVerdict.Forwarded, EdgeVerdict.Replied, EdgeVerdict.IcmpForwarded];
        foreach (var packet in EdgeCorpus.Packets)
        {
            var (verdict, frame) = bed.Run(packet.Frame);
            // A first fragment's transport checksum covers bytes that are elsewhere.
            if (rewritten.Contains(verdict) && !packet.Name.Contains("fragment", StringComparison.Ordinal))
            {
                var check = WireCheck.Of(frame);
                Assert.True(check.HeaderChecksumRight && check.TransportChecksumRight, packet.Name);
            }
            else if (verdict is not (EdgeVerdict.FragmentForwarded or EdgeVerdict.Forwarded or EdgeVerdict.Replied))
            {
                Assert.Equal(packet.Frame, frame);
            }
        }
    }

    [Fact]
    public void Malformed_packets_pass_or_drop_by_policy()
    {
        var frame = PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Build()[..20];
        foreach (var policy in Enum.GetValues<PacketPolicy>())
        {
            using var bed = new EdgeBed(EdgeBed.Small with { Malformed = policy });
            Assert.Equal(EdgeVerdict.Malformed, bed.Verdict(frame));
            Assert.Equal(policy == PacketPolicy.Drop ? XdpAction.Drop : XdpAction.Pass, bed.Twin.Run(bed.Program, frame).Action);
        }
    }

    [Fact]
    public void Lengths_are_checked_only_where_malformed_packets_are_dropped()
    {
        var frame = PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Udp(1, 2).Build();
        frame[17] = 200;
        using var strict = new EdgeBed(EdgeBed.Small with { Malformed = PacketPolicy.Drop });
        using var lenient = new EdgeBed();
        Assert.Equal(EdgeVerdict.Malformed, strict.Verdict(frame));
        Assert.Equal(EdgeVerdict.Passed, lenient.Verdict(frame));
    }

    [Fact]
    public void A_truncated_transport_header_is_malformed_for_the_balancer_too()
    {
        using var bed = new EdgeBed();
        Assert.Equal(EdgeVerdict.Malformed, bed.Verdict(PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Tcp(1, 2).Build()[..50]));
        Assert.Equal(EdgeVerdict.Malformed, bed.Verdict(PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Udp(1, 2).Build()[..40]));
        Assert.Equal(EdgeVerdict.Malformed, bed.Verdict(PacketBuilder.Ethernet().IPv4("10.0.0.1", "10.0.0.2").Icmp(8).Build()[..40]));
        Assert.Equal(EdgeVerdict.Malformed, bed.Verdict(PacketBuilder.Ethernet().IPv6("::1", "::2").Icmp(128).Build()[..60]));
    }

    [Fact]
    public void Disabled_stages_are_absent()
    {
        using var bed = new EdgeBed(
            EdgeCorpus.Options with { BlockAddresses = false, Balance = false, RateLimit = null, Malformed = PacketPolicy.Pass }, EdgeCorpus.Prepare);
        foreach (var packet in EdgeCorpus.Packets)
        {
            Assert.Contains(bed.Verdict(packet.Frame), new[] { EdgeVerdict.Passed, EdgeVerdict.NotIp, EdgeVerdict.Malformed });
        }
    }

    [Fact]
    public void No_truncation_of_any_packet_is_answered_with_a_crash()
    {
        using var bed = new EdgeBed(EdgeCorpus.Options, EdgeCorpus.Prepare);
        foreach (var packet in EdgeCorpus.Packets)
        {
            for (var length = 14; length < packet.Frame.Length; length++)
            {
                Assert.Contains(bed.Twin.Run(bed.Program, packet.Frame[..length]).Action, new[] { XdpAction.Pass, XdpAction.Drop });
            }
        }
    }
}
