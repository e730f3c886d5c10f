using System.Collections.Immutable;
using Skep.Balancing;
using Skep.Bpf.Programming;
using Skep.Bpf.Twin;
using Skep.Corpus;
using Skep.Edge;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Balancing.Direct;

/// <summary>Packets of connections that a balancer does not know, and what backends do with them; the bytes are in the table <c>DirectExtras.txt</c>.</summary>
public sealed class SecondChanceTests
{
    private const string Vip = "198.51.100.1";
    private static readonly EdgeOptions s_options = EdgeBed.Small with
    {
        Balance = false, BlockAddresses = false, BlockPrefixes = false, MaxFlows = 65536, RingRows = 4096, RingSize = 1024,
        Direct = new DirectOptions { Features = VipFlags.SecondChance },
    };

    [Fact]
    public void Every_slot_that_changes_hands_remembers_its_last_owner_and_others_remember_nobody()
    {
        using var bed = new EdgeBed(s_options);
        Apply(bed, 1, 2);
        var before = Owners(bed);
        Assert.All(Formers(bed), f => Assert.Equal(0u, f));
        Apply(bed, 1, 2, 3);
        var after = Owners(bed);
        Assert.All(Formers(bed), (former, i) => Assert.Equal(after[i] != before[i] ? before[i] : 0, former));
        Assert.Contains(Formers(bed), f => f != 0);
    }

    [Fact]
    public void Another_balancer_that_saw_the_same_changes_sends_every_unknown_connection_by_way_of_its_backend()
    {
        using var one = new EdgeBed(s_options);
        using var other = new EdgeBed(s_options);
        foreach (var bed in new[] { one, other })
        {
            Apply(bed, 1, 2, 3);
        }

        var owners = Enumerable.Range(1000, 400).ToDictionary(p => p, p => Send(one, p, TcpFlags.Syn).Backend);
        foreach (var bed in new[] { one, other })
        {
            Apply(bed, [Backend(1), Backend(2) with { Weight = 0 }, Backend(3), Backend(4)]);
        }

        var moved = 0;
        foreach (var (port, owner) in owners)
        {
            Assert.Equal(owner, Send(one, port, TcpFlags.Ack).Backend);
            var (verdict, backend, hop) = Send(other, port, TcpFlags.Ack);
            Assert.True(backend == owner ? verdict == EdgeVerdict.Forwarded || hop != owner : hop == owner, $"{port}: {owner} has it, but it goes to {backend} and {hop}");
            moved += backend != owner ? 1 : 0;
        }

        Assert.InRange(moved, 100, 300);
    }

    [Fact]
    public void When_nobody_takes_connections_unknown_ones_still_find_their_last_owner()
    {
        using var bed = new EdgeBed(s_options);
        Apply(bed, 1, 2);
        var owners = Enumerable.Range(1000, 50).ToDictionary(p => p, p => Send(bed, p, TcpFlags.Syn).Backend);
        using var other = new EdgeBed(s_options);
        Apply(other, 1, 2);
        other.State.Balancer.Apply([Service([Backend(1) with { Weight = 0 }, Backend(2) with { Weight = 0 }], secondChance: true)]);
        Assert.All(owners, o => Assert.Equal((EdgeVerdict.Forwarded, o.Value, ""), Send(other, o.Key, TcpFlags.Ack)));
        Assert.Equal(EdgeVerdict.NoBackend, Send(other, 1, TcpFlags.Syn).Verdict);
    }

    [Fact]
    public void Backends_that_are_gone_are_nobodys_former_owner()
    {
        using var bed = new EdgeBed(s_options);
        Apply(bed, 1, 2);
        Apply(bed, [Backend(1), Backend(2) with { Weight = 0 }]);
        Assert.Contains(Formers(bed), f => f != 0);
        Apply(bed, 1);
        Assert.All(Formers(bed), f => Assert.Equal(0u, f));
    }

    [Fact]
    public void The_option_comes_and_goes_without_moving_a_slot_and_the_next_agent_takes_it_over()
    {
        using var bed = new EdgeBed(s_options);
        Apply(bed, [Backend(1), Backend(2)], secondChance: false);
        Assert.Equal(EdgeVerdict.Forwarded, Send(bed, 1, TcpFlags.Ack).Verdict);
        var owners = Owners(bed);
        Apply(bed, 1, 2);
        Assert.Equal(owners, Owners(bed));
        Apply(bed, 1, 2, 3);
        var (now, former) = (Owners(bed), Formers(bed));
        var next = new EdgeState(bed.Maps, bed.Time);
        next.Balancer.SetNextHops(Hops());
        Assert.Empty(next.Balancer.Apply([Service([Backend(1), Backend(2), Backend(3)], secondChance: true)]));
        Assert.Equal(now, Owners(bed));
        Assert.Equal(former, Formers(bed));
        Assert.Empty(next.Balancer.Apply([Service([Backend(1), Backend(2), Backend(3)], secondChance: false)]));
        Assert.Empty(next.Balancer.Apply([]));

        // All rows are free again.
        Assert.Empty(next.Balancer.Apply([.. Enumerable.Range(1, 3).Select(n => Service([Backend(1)], secondChance: true) with { Port = (ushort)n })]));
    }

    [Theory]
    [InlineData(null, EdgeVerdict.SentOn)]
    [InlineData(SocketState.Listen, EdgeVerdict.SentOn)]
    [InlineData(SocketState.Established, EdgeVerdict.Decapsulated)]
    [InlineData(SocketState.NewSynReceived, EdgeVerdict.Decapsulated)]
    [InlineData(SocketState.TimeWait, EdgeVerdict.Decapsulated)]
    public void A_backend_keeps_what_has_a_connection_and_sends_on_the_rest_once(SocketState? socket, EdgeVerdict expected)
    {
        foreach (var packet in DirectTable.Extras.Cases.Where(c => c.Verdict == EdgeVerdict.ForwardedTwoHops))
        {
            using var bed = End(packet);
            using var tc = End(packet);
            byte[]? asked = null;
            bed.Twin.Environment.TcpSockets = tc.Twin.Environment.TcpSockets = tuple =>
            {
                asked = tuple.ToArray();
                return socket;
            };
            var (verdict, output) = bed.Run(packet.Output);
            Assert.Equal((packet.Name, expected), (packet.Name, verdict));
            Assert.Equal(Tuple(packet.Frame), Convert.ToHexStringLower(asked!));
            var atTc = tc.Twin.Run(new TcEdgeProgram(tc.Maps, tc.Options), packet.Output);
            if (expected == EdgeVerdict.Decapsulated)
            {
                Assert.Equal(Convert.ToHexStringLower(output), Convert.ToHexStringLower(atTc.Packet));
                continue;
            }

            Assert.Equal(XdpAction.Tx, bed.Twin.Run(bed.Program, packet.Output).Action);
            Assert.Equal(Spent(packet.Output), Convert.ToHexStringLower(output));
            Assert.Equal((TcAction.Redirect, new PacketTarget(PacketTargetKind.Neighbour, 1)), (atTc.Action, atTc.Target));
            Assert.Equal(Convert.ToHexStringLower(output)[24..], Convert.ToHexStringLower(atTc.Packet)[24..]);

            // Where it arrives, nobody has it either: it stays.
            using var other = End(packet, isSecond: true);
            other.Twin.Environment.TcpSockets = _ => null;
            var (final, inner) = other.Run(output);
            Assert.Equal((packet.Name, EdgeVerdict.Decapsulated), (packet.Name, final));
            Assert.Equal(Convert.ToHexStringLower(Untagged(packet.Frame)[14..]), Convert.ToHexStringLower(inner[14..]));
        }
    }

    [Fact]
    public void Only_to_peers_whose_way_is_known_and_no_SYN()
    {
        var packet = DirectTable.Extras.Cases.First(c => c.Verdict == EdgeVerdict.ForwardedTwoHops);
        using var stranger = End(packet, peer: "10.0.0.99");
        stranger.Twin.Environment.TcpSockets = _ => null;
        Assert.Equal(EdgeVerdict.Decapsulated, stranger.Verdict(packet.Output));
        using var lost = End(packet, hasWay: false);
        lost.Twin.Environment.TcpSockets = _ => null;
        Assert.Equal(EdgeVerdict.Undeliverable, lost.Verdict(packet.Output));
        using var bed = End(packet);
        bed.Twin.Environment.TcpSockets = _ => null;
        var syn = packet.Output.ToArray();
        syn[14 + 20 + 8 + 28 + 20 + 13] = (byte)TcpFlags.Syn;
        Assert.Equal(EdgeVerdict.Decapsulated, bed.Verdict(syn));
        Assert.Empty(bed.State.Tunnels.Apply(TunnelEndpointModel.None));
        Assert.Empty(bed.Maps.Tunnels.Peers.Keys);
    }

    [Fact]
    public void The_former_owner_is_explained()
    {
        using var bed = new EdgeBed(s_options);
        Apply(bed, [Backend(1), Backend(2) with { Weight = 0 }], secondChance: true);
        Apply(bed, [Backend(1) with { Weight = 0 }, Backend(2)], secondChance: true);
        var said = bed.State.Explainer.Explain(IpAddress.Parse("192.0.2.1"), 1000, IpAddress.Parse(Vip), 80, IpProtocol.Tcp);
        Assert.Contains(said.Steps, s => s.Contains("Before the last change it belonged to 10.0.0.1:80", StringComparison.Ordinal));
    }

    private static BackendModel Backend(int number) => new(IpAddress.Parse($"10.0.0.{number}"), 80);

    private static ServiceModel Service(BackendModel[] backends, bool secondChance) =>
        EdgeBed.Service("web", Vip, 80, IpProtocol.Tcp, backends) with { Forwarding = ForwardingMode.Gue, SecondChance = secondChance };

    private static void Apply(EdgeBed bed, params int[] backends) => Apply(bed, [.. backends.Select(Backend)]);

    private static void Apply(EdgeBed bed, BackendModel[] backends, bool secondChance = true)
    {
        bed.State.Balancer.SetNextHops(Hops());
        Assert.Empty(bed.State.Balancer.Apply([Service(backends, secondChance)]));
    }

    private static Dictionary<IpAddress, BackendPath> Hops() =>
        Enumerable.Range(1, 9).ToDictionary(n => IpAddress.Parse($"10.0.0.{n}"), _ => new BackendPath(IpAddress.Parse("10.0.0.100"), 1500, 1));

    private static RingPlace Ring(EdgeBed bed)
    {
        bed.Maps.Balancing.Direct.Services.TryGet(Assert.Single(bed.State.Balancer.Services).Id, out var row);
        return new RingPlace(row.RingStart, (int)row.RingSlots, row.FormerStart != 0);
    }

    private static uint[] Owners(EdgeBed bed) => [.. Enumerable.Range(0, Ring(bed).Slots).Select(i => bed.State.Balancer.IdAt(Ring(bed), i))];

    private static uint[] Formers(EdgeBed bed) => [.. Enumerable.Range(0, Ring(bed).Slots).Select(i => bed.State.Balancer.FormerAt(Ring(bed), i))];

    private static (EdgeVerdict Verdict, string Backend, string Hop) Send(EdgeBed bed, int port, TcpFlags flags)
    {
        var (verdict, frame) = bed.Run(PacketBuilder.Ethernet().IPv4("192.0.2.1", Vip).Tcp((ushort)port, 80, flags).Build());
        return (verdict, IpAddress.FromBytes(frame.AsSpan(30, 4)).ToString(),
            verdict == EdgeVerdict.ForwardedTwoHops ? IpAddress.FromBytes(frame.AsSpan(14 + 20 + 8 + 4 + 8, 16)).ToString() : "");
    }

    /// <summary>The backend that a packet of the table was sent to, or the one it is sent on to.</summary>
    private static EdgeBed End(DirectCase packet, bool isSecond = false, string? peer = null, bool hasWay = true) => new(
        s_options with { Direct = null, Decapsulate = true, SendOn = true },
        state =>
        {
            var isIPv6 = packet.Output[14] >> 4 == 6;
            var receiver = isIPv6 ? IpAddress.FromBytes(packet.Output.AsSpan(38, 16)) : IpAddress.FromBytes(packet.Output.AsSpan(30, 4));
            var former = IpAddress.Parse(isIPv6 ? "fd00::2" : "10.0.0.2");
            var addresses = DirectTable.Extras.Services.Select(s => s.Address).Distinct().ToDictionary(a => a, _ => TunnelAddress.Virtual);
            addresses.Add(isSecond ? former : receiver, TunnelAddress.Outer);
            var known = isSecond ? receiver : peer is null ? former : IpAddress.Parse(peer);
            var model = new TunnelEndpointModel(addresses.ToImmutableDictionary(), [IpPrefix.Parse("10.0.0.1"), IpPrefix.Parse("fd00::1")]) { Peers = [known] };
            Assert.Empty(state.Tunnels.Apply(model));
            state.Tunnels.SetNextHops(new Dictionary<IpAddress, BackendPath>
            {
                [known] = new(receiver, 1500, hasWay ? 1 : 0, MacAddress.Parse("02:00:00:00:00:0b"), MacAddress.Parse("02:00:00:00:00:0a")),
            });
        });

    private static byte[] Untagged(byte[] frame) => frame[12] == 0x81 ? [.. frame[..12], .. frame[16..]] : frame;

    // Source, destination and ports as the client sent them.
    private static string Tuple(byte[] frame)
    {
        var packet = Untagged(frame)[14..];
        return Convert.ToHexStringLower(packet[0] >> 4 == 6 ? [.. packet[8..40], .. packet[40..44]] : [.. packet[12..20], .. packet[20..24]]);
    }

    /// <summary>The packet with the second hop as its receiver, and that hop spent: what the rules say, checksums anew.</summary>
    private static string Spent(byte[] frame)
    {
        var sent = frame.ToArray();
        Convert.FromHexString("02000000000a02000000000b").CopyTo(sent, 0);
        var isIPv6 = sent[14] >> 4 == 6;
        var udp = isIPv6 ? 54 : 34;
        var isGeneve = sent[udp + 3] == 0xC1;
        var option = udp + 8 + (isGeneve ? 8 + 24 : 4);
        Assert.Equal("ff53020501000000", Convert.ToHexStringLower(sent[option..(option + 8)]));
        sent[option + 4] = 0;
        var hop = sent[(option + 8)..(option + 24)];
        if (isIPv6)
        {
            hop.CopyTo(sent, 38);
            sent[udp + 6] = sent[udp + 7] = 0;
            var checksum = InternetChecksum.ComputeTransport(
                IpAddress.FromBytes(sent.AsSpan(22, 16)), IpAddress.FromBytes(hop), IpProtocol.Udp, sent.AsSpan(udp));
            System.Runtime.InteropServices.MemoryMarshal.Write(sent.AsSpan(udp + 6), checksum);
        }
        else
        {
            hop.AsSpan(12).CopyTo(sent.AsSpan(30));
            sent[24] = sent[25] = 0;
            System.Runtime.InteropServices.MemoryMarshal.Write(sent.AsSpan(24), InternetChecksum.Compute(sent.AsSpan(14, 20)));
        }

        return Convert.ToHexStringLower(sent);
    }
}
