using Skep.Balancing;
using Skep.Balancing.Adaptive;
using Skep.Edge;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Balancing.Direct;

/// <summary>What is known of backends whose answers are not seen, and who is taken out for it.</summary>
public sealed class DirectSignalsTests : IDisposable
{
    private const string Vip = "198.51.100.1";

    private readonly EdgeBed _bed = new(EdgeBed.Small with
    {
        Balance = false, BlockAddresses = false, BlockPrefixes = false, MaxFlows = 65536, Direct = new DirectOptions { Measure = true },
    });

    private readonly ServiceController _controller = new();
    private readonly List<WeightDecision> _decisions = [];
    private TimeSpan _now;
    private int _port = 1000;

    public void Dispose() => _bed.Dispose();

    [Fact]
    public void Connections_begun_gone_on_and_asked_for_again_are_counted()
    {
        Apply(1);
        Send(7, TcpFlags.Syn);
        Assert.Equal((1ul, 0ul, 0ul), Read(1));
        Send(7, TcpFlags.Syn);
        Assert.Equal((1ul, 0ul, 1ul), Read(1));
        Send(7, TcpFlags.Ack);
        Send(7, TcpFlags.Ack);
        Assert.Equal((1ul, 1ul, 1ul), Read(1));
        Send(7, TcpFlags.Syn);
        Assert.Equal((1ul, 1ul, 1ul), Read(1));

        // The same port once more, after the end.
        Send(7, TcpFlags.Fin | TcpFlags.Ack);
        Send(7, TcpFlags.Fin | TcpFlags.Ack);
        Send(7, TcpFlags.Syn);
        Send(7, TcpFlags.Ack);
        Assert.Equal((2ul, 2ul, 1ul), Read(1));
    }

    [Fact]
    public void What_began_elsewhere_and_what_is_refused_without_a_word_is_not_counted_as_begun()
    {
        Apply(1);
        Send(7, TcpFlags.Ack);
        Assert.Equal((0ul, 0ul, 0ul), Read(1));
        Send(7, TcpFlags.Ack);
        Assert.Equal((0ul, 1ul, 0ul), Read(1));
    }

    [Fact]
    public void A_backend_that_nobody_hears_of_is_out_within_a_second()
    {
        Apply(1, 2, 3);
        for (var step = 0; step < 12 && _decisions.Count == 0; step++)
        {
            Traffic(dead: 2, 10);
            Step(1, 2, 3);
        }

        var decision = Assert.Single(_decisions, d => d.Kind == DecisionKind.Ejected);
        Assert.Equal("10.0.0.2", decision.Address.ToString());
        Assert.Contains("answered nothing", decision.Reason, StringComparison.Ordinal);
        Assert.True(_now <= TimeSpan.FromSeconds(1), $"after {_now}");
    }

    [Fact]
    public void Nobody_is_out_because_others_send_SYN_that_they_do_not_mean()
    {
        Apply(1, 2, 3);
        for (var step = 0; step < 60; step++)
        {
            for (var i = 0; i < 300; i++)
            {
                Send(_port++ & 0xFFFF, TcpFlags.Syn, $"10.{step}.{i >> 8}.{i & 255}");
            }

            // One client in three seconds means it.
            Traffic(dead: 0, step % 12 == 0 ? 1 : 0);
            Step(1, 2, 3);
        }

        Assert.Empty(_decisions);
    }

    [Fact]
    public void Nobody_is_out_when_nobody_is_heard_of()
    {
        Apply(1, 2);
        for (var step = 0; step < 20; step++)
        {
            for (var i = 0; i < 10; i++)
            {
                Send(_port++, TcpFlags.Syn);
            }

            Step(1, 2);
        }

        Assert.Empty(_decisions);
    }

    [Theory]
    [InlineData(true, IpProtocol.Tcp, true, true)]
    [InlineData(false, IpProtocol.Tcp, true, false)]
    [InlineData(true, IpProtocol.Tcp, false, false)]
    [InlineData(true, IpProtocol.Udp, true, false)]
    public void Programs_measure_only_where_it_is_asked_for_and_tells_something(bool outliers, IpProtocol protocol, bool tracking, bool expected)
    {
        var service = Service([1]) with { Protocol = protocol, Tracking = tracking, Policy = outliers ? new() { Outliers = new() } : new() };
        Assert.Equal(expected, DirectPlan.For([new ServiceState(0, service, [new BackendState(1, service.Backends[0], 1)], 256)], [], 1)!.Measure);
    }

    private static ServiceModel Service(int[] backends) =>
        EdgeBed.Service("web", Vip, 80, IpProtocol.Tcp, [.. backends.Select(n => EdgeBed.Backend($"10.0.0.{n}", 80))]) with
        {
            Forwarding = ForwardingMode.IpIp, Policy = new() { Outliers = new() },
        };

    private void Apply(params int[] backends)
    {
        _bed.State.Balancer.SetNextHops(Enumerable.Range(1, 9).ToDictionary(n => IpAddress.Parse($"10.0.0.{n}"), _ => new BackendPath(IpAddress.Parse("10.0.0.100"), 1500, 1)));
        Assert.Empty(_bed.State.Balancer.Apply([Service(backends)]));
    }

    /// <summary>Clients that connect and go on, unless their backend is dead; then they ask again.</summary>
    private void Traffic(int dead, int clients)
    {
        for (var i = 0; i < clients; i++)
        {
            var port = _port++ & 0xFFFF;
            var isDead = Send(port, TcpFlags.Syn) == $"10.0.0.{dead}";
            Send(port, isDead ? TcpFlags.Syn : TcpFlags.Ack);
        }
    }

    private void Step(params int[] backends)
    {
        _now += TimeSpan.FromSeconds(WeightLaw.Period);
        var model = Service(backends);
        var (_, decisions) = _controller.Step(
            _now, model, b => _bed.State.Balancer.TryGetId(model.Key, b.Address, b.Port, out var id) ? _bed.State.Balancer.ReadingOf(id) : default);
        _decisions.AddRange(decisions);
    }

    private (ulong Opened, ulong Confirmed, ulong Repeats) Read(int backend)
    {
        Assert.True(_bed.State.Balancer.TryGetId(Service([1]).Key, IpAddress.Parse($"10.0.0.{backend}"), 80, out var id));
        var reading = _bed.State.Balancer.ReadingOf(id);
        return (reading.Opened, reading.Handshakes, reading.SynRepeats);
    }

    private string Send(int port, TcpFlags flags, string client = "192.0.2.1")
    {
        var result = _bed.Twin.Run(_bed.Program, PacketBuilder.Ethernet().IPv4(client, Vip).Tcp((ushort)port, 80, flags).Build());
        return IpAddress.FromBytes(result.Packet[30..34]).ToString();
    }
}
