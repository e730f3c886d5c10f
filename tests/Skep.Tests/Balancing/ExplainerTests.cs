using Skep.Balancing;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Balancing;

public sealed class ExplainerTests : IDisposable
{
    private const string Vip = "198.51.100.1";
    private readonly EdgeBed _bed = new(EdgeBed.Small with { RingSize = 4093, MaxConnections = 4096 });

    public void Dispose() => _bed.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_is_said_of_a_new_connection_is_what_happens_to_it(bool adaptive)
    {
        Serve(adaptive, EdgeBed.Backend("10.1.0.1", 80), EdgeBed.Backend("10.1.0.2", 80, 3), EdgeBed.Backend("10.1.0.3", 80));
        for (ushort port = 1000; port < 1200; port++)
        {
            var said = Explain(port);
            Assert.False(said.IsKnown);
            var (_, packet) = _bed.Run(Syn(port));
            Assert.Equal(WireCheck.Of(packet).Destination, said.Backend!.Address.ToString());
            var known = Explain(port);
            Assert.True(known.IsKnown);
            Assert.Equal(said.Backend.Address, known.Backend!.Address);
            Assert.Contains("stays there", known.Steps[0], StringComparison.Ordinal);
        }

        Assert.Equal(adaptive, Explain(5000).Steps.Any(s => s.StartsWith("The second choice", StringComparison.Ordinal)));
        Assert.Contains("declared weight", Explain(5000).Steps[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void Reasons_are_given_for_no_backend_and_no_service()
    {
        Serve(false, EdgeBed.Backend("10.1.0.1", 80));
        _bed.Run(Syn(1000));
        Serve(false, EdgeBed.Backend("10.1.0.1", 80) with { Drain = true });
        Assert.Contains("drained", Explain(1000).Steps[1], StringComparison.Ordinal);
        Assert.Contains("dropped", Explain(1001).Steps[^1], StringComparison.Ordinal);
        Assert.Null(Explain(1001).Backend);
        _bed.State.Balancer.Apply([]);
        var none = Explain(1001);
        Assert.Null(none.Service);
        Assert.Contains("is no service", none.Steps[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void The_answer_of_a_backend_is_known_as_one()
    {
        Serve(false, EdgeBed.Backend("10.1.0.1", 80));
        _bed.Run(Syn(1000));
        var said = _bed.State.Explainer.Explain(IpAddress.Parse("10.1.0.1"), 80, IpAddress.Parse("192.0.2.1"), 1000, IpProtocol.Tcp);
        Assert.Contains("answer of a backend", Assert.Single(said.Steps), StringComparison.Ordinal);
    }

    [Fact]
    public void Direct_return_is_explained_by_its_ring_and_clients_stay_together()
    {
        using var bed = new EdgeBed(EdgeBed.Small with { RingSize = 4093 });
        var service = EdgeBed.Service("direct", Vip, 8000, IpProtocol.Tcp, EdgeBed.Backend("10.1.0.1", 8000), EdgeBed.Backend("10.1.0.2", 8000)) with
        {
            Forwarding = ForwardingMode.IpIp,
            LastPort = 8999,
            ClientPrefix = 24,
        };
        bed.State.Balancer.Apply([service]);
        string? Of(string client, ushort port) =>
            bed.State.Explainer.Explain(IpAddress.Parse(client), port, IpAddress.Parse(Vip), 8500, IpProtocol.Tcp).Backend?.Address.ToString();
        Assert.Single(Enumerable.Range(1, 50).Select(i => Of($"192.0.2.{i}", (ushort)(1000 + i))).Distinct());
        Assert.Equal(2, Enumerable.Range(1, 50).Select(i => Of($"192.0.{i}.1", 1000)).Distinct().Count());
        Assert.Null(bed.State.Explainer.Explain(IpAddress.Parse("192.0.2.1"), 1, IpAddress.Parse(Vip), 9000, IpProtocol.Tcp).Service);
    }

    private void Serve(bool adaptive, params BackendModel[] backends) => _bed.State.Balancer.Apply(
        [EdgeBed.Service("web", Vip, 80, IpProtocol.Tcp, backends) with { Policy = adaptive ? new() { Adaptive = new() } : new() }]);

    private Explanation Explain(ushort port) => _bed.State.Explainer.Explain(IpAddress.Parse("192.0.2.1"), port, IpAddress.Parse(Vip), 80, IpProtocol.Tcp);

    private static byte[] Syn(ushort port) => PacketBuilder.Ethernet().IPv4("192.0.2.1", Vip).Tcp(port, 80, TcpFlags.Syn).Build();
}
