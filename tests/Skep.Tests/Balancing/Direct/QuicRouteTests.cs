using Skep.Balancing;
using Skep.Edge;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Balancing.Direct;

/// <summary>QUIC connection ids while backends change; the bytes are in the table <c>DirectExtras.txt</c>.</summary>
public sealed class QuicRouteTests : IDisposable
{
    private const string Vip = "198.51.100.1";

    private readonly EdgeBed _bed = new(EdgeBed.Small with
    {
        Balance = false, BlockAddresses = false, BlockPrefixes = false, MaxFlows = 1024, Direct = new DirectOptions { Features = VipFlags.Quic | VipFlags.Untracked },
    });

    public void Dispose() => _bed.Dispose();

    [Fact]
    public void An_id_names_its_backend_from_any_address_while_others_come_and_go()
    {
        Apply(Backend(1, "0a01"), Backend(2, "0a02"));
        Assert.All(Enumerable.Range(1, 100), client => Assert.Equal((EdgeVerdict.QuicForwarded, "10.0.0.1"), To(client, "000a01c0ffee00")));
        Apply(Backend(3, "0a03"), Backend(1, "0a01"));
        Assert.All(Enumerable.Range(1, 100), client => Assert.Equal((EdgeVerdict.QuicForwarded, "10.0.0.1"), To(client, "000a01c0ffee00")));
        Assert.Equal(EdgeVerdict.Forwarded, To(500, "000a02c0ffee00").Verdict);
    }

    [Fact]
    public void A_drained_backend_keeps_the_connections_that_name_it()
    {
        Apply(Backend(1, "0a01") with { Drain = true }, Backend(2, "0a02"));
        Assert.Equal((EdgeVerdict.QuicForwarded, "10.0.0.1"), To(1, "000a01c0ffee00"));
        Assert.Equal((EdgeVerdict.Forwarded, "10.0.0.2"), To(2, "000a77c0ffee00"));
    }

    [Fact]
    public void Servers_exchange_ids_and_ids_get_longer()
    {
        Apply(Backend(1, "01"), Backend(2, "02"));
        Apply(Backend(1, "02"), Backend(2, "01"));
        Assert.Equal("10.0.0.2", To(1, "0001c0ffee00").Backend);
        Apply(Backend(1, "0101"), Backend(2, "0202"));
        Assert.Equal((EdgeVerdict.QuicForwarded, "10.0.0.1"), To(2, "000101c0ffee00"));
        Assert.Equal(EdgeVerdict.Forwarded, To(3, "0001c0ffee0000").Verdict);
        Assert.Equal(2, Entries());
    }

    [Fact]
    public void Ids_of_one_service_mean_nothing_to_another()
    {
        var other = Service([Backend(3, "0a01")]) with { Address = IpAddress.Parse("198.51.100.2") };
        _bed.State.Balancer.SetNextHops(Hops());
        Assert.Empty(_bed.State.Balancer.Apply([Service([Backend(1, "0a02"), Backend(2, "0a03")]), other]));
        Assert.Equal(EdgeVerdict.Forwarded, To(1, "000a01c0ffee00").Verdict);
        Assert.Empty(_bed.State.Balancer.Apply([other]));
        Assert.Equal(1, Entries());
    }

    [Fact]
    public void Without_the_option_and_with_rewriting_nothing_is_left_of_them()
    {
        Apply(Backend(1, "0a01"), Backend(2, "0a02"));
        Assert.Empty(_bed.State.Balancer.Apply([Service([Backend(1, "0a01"), Backend(2, "0a02")]) with { QuicConfigs = 0 }]));
        Assert.Equal(0, Entries());
        Assert.Equal(EdgeVerdict.Forwarded, To(1, "000a01c0ffee00").Verdict);
        Apply(Backend(1, "0a01"), Backend(2, "0a02"));
        Assert.Empty(_bed.State.Balancer.Apply([Service([Backend(1, "0a01"), Backend(2, "0a02")]) with { Forwarding = ForwardingMode.Nat }]));
        Assert.Equal(0, Entries());
    }

    [Fact]
    public void The_next_agent_removes_what_it_is_no_longer_asked_for()
    {
        Apply(Backend(1, "0a01"), Backend(2, "0a02"));
        var next = new EdgeState(_bed.Maps, _bed.Time);
        next.Balancer.SetNextHops(Hops());
        Assert.Empty(next.Balancer.Apply([Service([Backend(1, "0a01")])]));
        Assert.Equal(1, Entries());
        Assert.Equal((EdgeVerdict.QuicForwarded, "10.0.0.1"), To(1, "000a01c0ffee00"));
    }

    [Fact]
    public void Twins_and_other_lengths_are_told_and_name_nobody()
    {
        _bed.State.Balancer.SetNextHops(Hops());
        var problems = _bed.State.Balancer.Apply([Service([Backend(1, "0a01"), Backend(2, "0a01"), Backend(3, "0a")])]);
        Assert.Equal([BalancerProblemKind.BadServerId, BalancerProblemKind.BadServerId], problems.Select(p => p.Kind));
        Assert.Equal((EdgeVerdict.QuicForwarded, "10.0.0.1"), To(1, "000a01c0ffee00"));
    }

    [Fact]
    public void Where_an_id_leads_is_explained()
    {
        Apply(Backend(1, "0a01"), Backend(2, "0a02"));
        Explanation Of(string id) => _bed.State.Explainer.Explain(IpAddress.Parse("192.0.2.1"), 1, IpAddress.Parse(Vip), 443, IpProtocol.Udp, Convert.FromHexString(id));
        Assert.Equal(("10.0.0.2", true), (Of("000a02c0ffee00").Backend!.Address.ToString(), Of("000a02c0ffee00").IsKnown));
        Assert.Contains(Of("000a02c0ffee00").Steps, s => s.Contains("server id 0a02: that is 10.0.0.2:443", StringComparison.Ordinal));
        Assert.Contains(Of("000a03c0ffee00").Steps, s => s.Contains("0a03, which is no backend's", StringComparison.Ordinal));
        Assert.Contains(Of("200a02c0ffee00").Steps, s => s.Contains("another configuration", StringComparison.Ordinal));
        Assert.Contains(Of("000a02c0ffee").Steps, s => s.Contains("shorter than 7 bytes", StringComparison.Ordinal));
        Assert.Contains(Of("").Steps, s => s.Contains("one of the 2 server ids of 2 bytes", StringComparison.Ordinal));
    }

    private static BackendModel Backend(int number, string id) =>
        new(IpAddress.Parse($"10.0.0.{number}"), 443) { QuicServerId = QuicServerId.TryParse(id, out var parsed) ? parsed : null };

    private static ServiceModel Service(BackendModel[] backends) =>
        EdgeBed.Service("web", Vip, 443, IpProtocol.Udp, backends) with { Forwarding = ForwardingMode.IpIp, QuicConfigs = 1, Tracking = false };

    private static Dictionary<IpAddress, BackendPath> Hops() =>
        Enumerable.Range(1, 9).ToDictionary(n => IpAddress.Parse($"10.0.0.{n}"), _ => new BackendPath(IpAddress.Parse("10.0.0.100"), 1500, 1));

    private void Apply(params BackendModel[] backends)
    {
        _bed.State.Balancer.SetNextHops(Hops());
        Assert.Empty(_bed.State.Balancer.Apply([Service(backends)]));
    }

    private int Entries()
    {
        var count = 0;
        _bed.Maps.Balancing.Direct.QuicServers.ReadAll((_, slot) => count += slot.Key != 0 ? 1 : 0);
        return count;
    }

    /// <summary>A packet with a short header from one of many clients.</summary>
    private (EdgeVerdict Verdict, string Backend) To(int client, string connectionId)
    {
        byte[] payload = [0x40, .. Convert.FromHexString(connectionId), .. new byte[30]];
        var (verdict, frame) = _bed.Run(PacketBuilder.Ethernet().IPv4($"192.0.{client >> 8}.{client & 255}", Vip).Udp((ushort)(1000 + client), 443).Payload(payload).Build());
        return (verdict, IpAddress.FromBytes(frame.AsSpan(30, 4)).ToString());
    }
}
