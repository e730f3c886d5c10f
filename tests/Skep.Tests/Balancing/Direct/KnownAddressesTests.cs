using System.Numerics;
using Skep.Balancing;
using Skep.Edge;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Balancing.Direct;

/// <summary>With direct return and rewriting in one program, packets between strangers are passed by a bit of each address; nobody else's packet may be.</summary>
public sealed class KnownAddressesTests
{
    private const string Vip = "198.51.100.1", Direct = "198.51.100.2", Server = "10.0.0.1", Tunnelled = "10.0.0.2", Client = "192.0.2.7", Stranger = "203.0.113.9";

    private static readonly EdgeOptions s_options = EdgeBed.Small with { MaxFlows = 1024, Direct = new DirectOptions() };

    [Fact]
    public void Services_and_backends_that_answer_through_here_are_known_and_others_are_not()
    {
        using var bed = new EdgeBed(s_options, Apply);
        Assert.All([Vip, Direct, Server], a => Assert.True(MayHave(bed, a, isService: a != Server), a));
        Assert.All([Tunnelled, Client, Stranger], a => Assert.False(MayHave(bed, a, isService: true) || MayHave(bed, a, isService: false), a));
        Assert.All([Vip, Direct, Server], a => Assert.False(MayHave(bed, a, isService: a == Server), a));
    }

    [Fact]
    public void A_connection_goes_on_both_ways_when_its_service_is_gone_and_the_bits_were_set_anew()
    {
        using var bed = new EdgeBed(s_options, Apply);
        Assert.Equal(EdgeVerdict.Forwarded, bed.Verdict(Request(TcpFlags.Syn)));
        Assert.Equal(EdgeVerdict.Replied, bed.Verdict(Answer(TcpFlags.Syn | TcpFlags.Ack)));
        bed.State.Balancer.Apply([]);
        new KnownAddressTable(bed.Maps.Balancing).Rebuild([]);
        Assert.False(MayHave(bed, Direct, isService: true));
        Assert.Equal(EdgeVerdict.Forwarded, bed.Verdict(Request(TcpFlags.Ack)));
        Assert.Equal(EdgeVerdict.Replied, bed.Verdict(Answer(TcpFlags.Ack)));
        Assert.Equal(EdgeVerdict.Passed, bed.Verdict(PacketBuilder.Ethernet().IPv4(Client, Stranger).Tcp(4000, 80).Build()));
    }

    [Fact]
    public void An_agent_that_finds_maps_of_an_older_one_knows_all_addresses()
    {
        using var bed = new EdgeBed(s_options, Apply);
        bed.Verdict(Request(TcpFlags.Syn));
        bed.Maps.Balancing.Known.Entries.Clear();
        Assert.Equal(EdgeVerdict.Passed, bed.Verdict(Request(TcpFlags.Ack)));
        _ = new EdgeState(bed.Maps, bed.Time);
        Assert.All([Vip, Direct, Server], a => Assert.True(MayHave(bed, a, isService: a != Server), a));
        Assert.Equal(EdgeVerdict.Forwarded, bed.Verdict(Request(TcpFlags.Ack)));
    }

    [Fact]
    public void Bits_of_services_that_came_and_went_do_not_add_up()
    {
        using var bed = new EdgeBed(s_options, Apply);
        for (var i = 0; i < 4000; i++)
        {
            bed.State.Balancer.Apply([EdgeBed.Service("web", $"10.9.{i >> 8}.{i & 255}", 80, IpProtocol.Tcp, EdgeBed.Backend(Server, 8080))]);
        }

        var set = 0;
        foreach (var word in bed.Maps.Balancing.Known.Entries)
        {
            set += BitOperations.PopCount(word.Services) + BitOperations.PopCount(word.Backends);
        }

        Assert.InRange(set, 1, (bed.Maps.Balancing.Known.Entries.Length * 64 / 16) + 2);
    }

    private static void Apply(EdgeState state)
    {
        var hop = new BackendPath(IpAddress.Parse("10.255.0.1"), 1500, 1, MacAddress.Parse("02:00:00:00:00:01"), MacAddress.Parse("02:00:00:00:00:02"));
        state.Balancer.SetNextHops(new Dictionary<IpAddress, BackendPath> { [IpAddress.Parse(Tunnelled)] = hop });
        Assert.Empty(state.Balancer.Apply(
        [
            EdgeBed.Service("web", Vip, 80, IpProtocol.Tcp, EdgeBed.Backend(Server, 8080)),
            EdgeBed.Service("direct", Direct, 80, IpProtocol.Tcp, EdgeBed.Backend(Tunnelled, 80)) with { Forwarding = ForwardingMode.IpIp },
        ]));
    }

    private static bool MayHave(EdgeBed bed, string address, bool isService) =>
        new KnownAddressTable(bed.Maps.Balancing).MayHave(new(IpAddress.Parse(address), isService));

    private static byte[] Request(TcpFlags flags) => PacketBuilder.Ethernet().IPv4(Client, Vip).Tcp(4000, 80, flags).Build();

    private static byte[] Answer(TcpFlags flags) => PacketBuilder.Ethernet().IPv4(Server, Client).Tcp(8080, 4000, flags).Build();
}
