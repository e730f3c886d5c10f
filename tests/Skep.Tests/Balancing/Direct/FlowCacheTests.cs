using Skep.Balancing;
using Skep.Edge;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Balancing.Direct;

/// <summary>Which backend a flow has, and when it may change.</summary>
public sealed class FlowCacheTests
{
    private const string Vip = "198.51.100.1";
    private static readonly EdgeOptions s_options = EdgeBed.Small with
    {
        Balance = false, BlockAddresses = false, BlockPrefixes = false, MaxFlows = 8192, MaxBackends = 64, Direct = new DirectOptions(),
    };

    [Fact]
    public void A_connection_stays_when_backends_come_and_new_ones_use_them()
    {
        using var bed = new EdgeBed(s_options);
        Apply(bed, 1);
        var before = Enumerable.Range(0, 200).ToDictionary(p => p, p => Open(bed, p));
        Apply(bed, 1, 2, 3, 4);
        Assert.All(before, b => Assert.Equal(b.Value, To(bed, b.Key, TcpFlags.Ack)));
        Assert.True(Enumerable.Range(1000, 200).Select(p => Open(bed, p)).Distinct().Count() == 4);
    }

    [Fact]
    public void Half_a_million_flows_that_are_never_seen_again_drive_no_connection_out()
    {
        using var bed = new EdgeBed(s_options);
        Apply(bed, 1);
        var before = Enumerable.Range(0, 500).ToDictionary(p => p, p => Open(bed, p));
        Apply(bed, 2, 1);
        for (var i = 0; i < 500_000; i++)
        {
            To(bed, i & 0xFFFF, TcpFlags.Syn, $"10.{i >> 16}.7.7");
        }

        Assert.All(before, b => Assert.Equal(b.Value, To(bed, b.Key, TcpFlags.Ack)));
    }

    [Fact]
    public void Connections_that_ended_make_room_for_new_ones()
    {
        using var bed = new EdgeBed(s_options with { MaxFlows = 8 });
        Apply(bed, 1);
        var stays = Open(bed, 1);
        for (var port = 100; port < 1000; port++)
        {
            Open(bed, port);
            To(bed, port, TcpFlags.Fin | TcpFlags.Ack);
            To(bed, port, TcpFlags.Ack);
            To(bed, 1, TcpFlags.Ack);
        }

        Apply(bed, 2);
        Apply(bed, 1, 2);
        Assert.Equal(stays, To(bed, 1, TcpFlags.Ack));
    }

    [Fact]
    public void Flows_that_take_turns_are_all_known_when_they_come_again()
    {
        using var bed = new EdgeBed(s_options);
        const int flows = 3000;
        Apply(bed, 1);
        for (var i = 0; i < 2 * flows; i++)
        {
            To(bed, i % flows, TcpFlags.Ack);
        }

        Apply(bed, 2, 3, 4, 1);
        var stayed = Enumerable.Range(0, flows).Count(p => To(bed, p, TcpFlags.Ack) == "10.0.0.1");
        Assert.InRange(stayed, flows * 99 / 100, flows);
    }

    [Fact]
    public void Connections_that_fell_silent_make_room_for_those_that_go_on()
    {
        using var bed = new EdgeBed(s_options with { MaxFlows = 8 });
        Apply(bed, 1);
        foreach (var port in Enumerable.Range(1, FlowSet.MostEstablished))
        {
            Open(bed, port);
        }

        // Open is who goes on: one of the first, and one that finds no way left.
        for (var i = 0; i < 500; i++)
        {
            To(bed, 100, TcpFlags.Ack);
            To(bed, 1, TcpFlags.Ack);
            Assert.True(IsEstablished(bed, 1));
        }

        Assert.True(IsEstablished(bed, 100));
    }

    [Fact]
    public void Several_flows_that_take_turns_at_the_last_way_get_those_of_silent_connections()
    {
        using var bed = new EdgeBed(s_options with { MaxFlows = 8 });
        Apply(bed, 1);
        foreach (var port in Enumerable.Range(1, FlowSet.MostEstablished))
        {
            Open(bed, port);
        }

        int[] going = [100, 101, 102, 103];
        for (var i = 0; i < 2000; i++)
        {
            To(bed, going[i % going.Length], TcpFlags.Ack);
            bed.Twin.Environment.Advance(TimeSpan.FromMilliseconds(1));
        }

        Assert.All(going, port => Assert.True(IsEstablished(bed, port)));
    }

    [Fact]
    public void A_drained_backend_keeps_its_connections_and_a_client_that_begins_anew_gets_another()
    {
        using var bed = new EdgeBed(s_options);
        Apply(bed, 1);
        Assert.Equal("10.0.0.1", Open(bed, 7));
        Apply(bed, [Backend(1) with { Drain = true }, Backend(2)]);
        Assert.Equal("10.0.0.1", To(bed, 7, TcpFlags.Ack));
        Assert.Equal("10.0.0.2", To(bed, 7, TcpFlags.Syn));
        Assert.Equal("10.0.0.2", To(bed, 7, TcpFlags.Ack));
    }

    [Fact]
    public void Flows_of_a_removed_backend_are_given_away_anew_and_its_number_means_nothing_to_them()
    {
        using var bed = new EdgeBed(s_options);
        Apply(bed, 1);
        Open(bed, 7);
        Apply(bed, 2);
        Assert.Equal("10.0.0.2", To(bed, 7, TcpFlags.Ack));
    }

    [Fact]
    public void Without_tracking_the_ring_alone_decides()
    {
        using var bed = new EdgeBed(s_options);
        Apply(bed, [Backend(1)], s => s with { Tracking = false });
        Open(bed, 7);
        Apply(bed, [Backend(2)], s => s with { Tracking = false });
        Assert.Equal("10.0.0.2", To(bed, 7, TcpFlags.Ack));
    }

    [Fact]
    public void All_connections_of_a_clients_network_go_to_one_backend_also_after_the_ring_changed()
    {
        using var bed = new EdgeBed(s_options);
        Apply(bed, [Backend(1), Backend(2), Backend(3)], s => s with { ClientPrefix = 24 });
        var first = Enumerable.Range(0, 50).Select(p => To(bed, p, TcpFlags.Syn, $"192.0.2.{p}")).Distinct();
        var backend = Assert.Single(first);
        Apply(bed, [Backend(4), Backend(5), Backend(1), Backend(2), Backend(3)], s => s with { ClientPrefix = 24 });
        Assert.All(Enumerable.Range(100, 50), p => Assert.Equal(backend, To(bed, p, TcpFlags.Syn, $"192.0.2.{p}")));
        Assert.True(Enumerable.Range(0, 100).Select(n => To(bed, 1, TcpFlags.Syn, $"10.0.{n}.1")).Distinct().Count() > 2);
    }

    [Fact]
    public void Counters_tell_packets_bytes_and_connections_of_a_backend()
    {
        using var bed = new EdgeBed(s_options);
        Apply(bed, 1);
        Open(bed, 7);
        Open(bed, 8);
        var traffic = bed.State.Balancer.TrafficOf(Assert.Single(Assert.Single(bed.State.Balancer.Services).Backends).Id);
        Assert.Equal((2ul, 6ul, 6ul * 54), (traffic.Connections, traffic.Packets, traffic.Bytes));
    }

    [Fact]
    public void The_next_agent_finds_services_backends_and_flows()
    {
        using var bed = new EdgeBed(s_options);
        Apply(bed, 1, 2, 3);
        var before = Enumerable.Range(0, 100).ToDictionary(p => p, p => Open(bed, p));
        var next = new EdgeState(bed.Maps, bed.Time);
        next.Balancer.SetNextHops(Hops());
        Assert.Empty(next.Balancer.Apply([Service([Backend(4), Backend(1), Backend(2), Backend(3)], s => s)]));
        Assert.All(before, b => Assert.Equal(b.Value, To(bed, b.Key, TcpFlags.Ack)));
    }

    [Fact]
    public void A_service_moves_between_rewriting_and_direct_return()
    {
        using var bed = new EdgeBed(s_options with { Balance = true });
        Apply(bed, [Backend(1)], s => s with { Forwarding = ForwardingMode.Nat });
        Assert.Equal(54, bed.Run(Frame(1, TcpFlags.Syn)).Packet.Length);
        Apply(bed, 1);
        Assert.Equal(74, bed.Run(Frame(2, TcpFlags.Syn)).Packet.Length);
        Apply(bed, [Backend(1)], s => s with { Forwarding = ForwardingMode.Nat });
        Assert.Equal(54, bed.Run(Frame(3, TcpFlags.Syn)).Packet.Length);
        Assert.Empty(bed.State.Balancer.Apply([]));
        Assert.Equal(EdgeVerdict.Passed, bed.Verdict(Frame(4, TcpFlags.Syn)));
    }

    private static bool IsEstablished(EdgeBed bed, int port)
    {
        var service = Assert.Single(bed.State.Balancer.Services).Id;
        var ports = NetworkUInt16.From((ushort)port).Raw | ((uint)NetworkUInt16.From(80).Raw << 16);
        var hash = new FlowCache(bed.Maps.Balancing.Direct, s_options.Direct!.Seed).HashOf(IpAddress.Parse("192.0.2.1"), ports, service);
        ReadOnlySpan<ulong> ways = bed.Maps.Balancing.Direct.Flows.Entries[(int)(hash % bed.Maps.Balancing.Direct.Flows.MaxEntries)];
        return ways.ToArray().Any(w => FlowSet.Holds(w, hash) && FlowSet.IsEstablished(w));
    }

    private static BackendModel Backend(int number) => new(IpAddress.Parse($"10.0.0.{number}"), 80);

    private static ServiceModel Service(BackendModel[] backends, Func<ServiceModel, ServiceModel> change) =>
        change(EdgeBed.Service("web", Vip, 80, IpProtocol.Tcp, backends) with { Forwarding = ForwardingMode.IpIp });

    private static void Apply(EdgeBed bed, params int[] backends) => Apply(bed, [.. backends.Select(Backend)]);

    private static void Apply(EdgeBed bed, BackendModel[] backends, Func<ServiceModel, ServiceModel>? change = null)
    {
        bed.State.Balancer.SetNextHops(Hops());
        Assert.Empty(bed.State.Balancer.Apply([Service(backends, change ?? (s => s))]));
    }

    private static Dictionary<IpAddress, BackendPath> Hops() =>
        Enumerable.Range(1, 9).ToDictionary(n => IpAddress.Parse($"10.0.0.{n}"), _ => new BackendPath(IpAddress.Parse("10.0.0.100"), 1500, 1));

    private static byte[] Frame(int port, TcpFlags flags, string client = "192.0.2.1") =>
        PacketBuilder.Ethernet().IPv4(client, Vip).Tcp((ushort)port, 80, flags).Build();

    /// <summary>SYN and the client's first two packets.</summary>
    private static string Open(EdgeBed bed, int port)
    {
        To(bed, port, TcpFlags.Syn);
        To(bed, port, TcpFlags.Ack);
        return To(bed, port, TcpFlags.Ack);
    }

    private static string To(EdgeBed bed, int port, TcpFlags flags, string client = "192.0.2.1") =>
        Destination(bed.Twin.Run(bed.Program, Frame(port, flags, client)).Packet.ToArray());

    private static string Destination(byte[] frame) => IpAddress.FromBytes(frame.AsSpan(30, 4)).ToString();
}
