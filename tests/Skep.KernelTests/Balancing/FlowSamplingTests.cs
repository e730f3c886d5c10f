using Skep.Balancing;
using Skep.Edge;
using Skep.Fuzz;
using Skep.Packets;

namespace Skep.KernelTests.Balancing;

/// <summary>Connections whose answers pass by, as the twin, the bytecode interpreter and the kernel measure them.</summary>
public sealed class FlowSamplingTests
{
    private static readonly EdgeOptions s_options = new()
    {
        RingSize = 251, MaxServices = 8, MaxBackends = 16, MaxConnections = 64, MaxFlows = 1024, MaxBlockedAddresses = 16, MaxBlockedPrefixes = 16, MaxSources = 64,
        BlockAddresses = false, BlockPrefixes = false, Balance = false, Direct = new DirectOptions { Measure = true, Sample = true },
    };

    [KernelTheory]
    [InlineData("192.0.2.1", "198.51.100.1")]
    [InlineData("2001:db8:c::1", "2001:db8::1")]
    public void Every_engine_counts_the_same(string client, string vip)
    {
        var states = new List<EdgeState>();
        var backend = IpAddress.Parse("10.0.0.1");
        var service = new ServiceModel("web", IpAddress.Parse(vip), 80, IpProtocol.Tcp, [new BackendModel(backend, 80)]) { Forwarding = ForwardingMode.Gue };
        using var engines = new EnginePair(bind =>
        {
            var maps = new EdgeMaps(s_options);
            foreach (var map in maps.All)
            {
                bind(map);
            }

            var state = new EdgeState(maps, TimeProvider.System);
            state.Balancer.SetNextHops(new Dictionary<IpAddress, BackendPath> { [backend] = new(IpAddress.Parse("10.0.0.100"), 1500, 1) });
            Assert.Empty(state.Balancer.Apply([service]));
            states.Add(state);
            return ([new EdgeProgram(maps, s_options)], maps.All);
        });

        void Send(ushort port, TcpFlags flags, uint sequence, uint acknowledged, int bytes = 0)
        {
            var ip = client.Contains(':', StringComparison.Ordinal) ? PacketBuilder.Ethernet().IPv6(client, vip) : PacketBuilder.Ethernet().IPv4(client, vip);
            Assert.Null(engines.Run(ip.Tcp(port, 80, flags, sequence, acknowledged).Payload(new byte[bytes]).Build()));
        }

        foreach (ushort port in new ushort[] { 4000, 4001, 4002 })
        {
            Send(port, TcpFlags.Syn, 99, 0);
            Send(port, TcpFlags.Ack, 100, 500);
            Send(port, TcpFlags.Ack, 100, 500, 50);
        }

        // One gets an answer and asks again, one sends again, one is hung up on.
        Send(4000, TcpFlags.Ack, 150, 700);
        Send(4000, TcpFlags.Ack, 150, 700, 50);
        Send(4001, TcpFlags.Ack, 100, 500, 50);
        Send(4002, TcpFlags.Ack, 150, 501);
        Send(4002, TcpFlags.Ack | TcpFlags.Fin, 150, 501);
        Assert.Equal(3, states.Count);
        foreach (var state in states)
        {
            Assert.True(state.Balancer.TryGetId(service.Key, backend, 80, out var id));
            var reading = state.Balancer.ReadingOf(id);
            Assert.Equal((3ul, 3ul, 4ul, 1ul, 1ul), (reading.Opened, reading.Timed, reading.Requests, reading.Answers, reading.Retransmits));
            Assert.Equal((1ul, 2L), (reading.Unanswered, reading.Waiting));
            Assert.InRange(reading.HandshakeSeconds, 1e-9, 60);
            Assert.Equal(3ul, Sum(state.Balancer.HistogramsOf(id)[..BackendHistograms.Buckets]));
        }
    }

    private static ulong Sum(ReadOnlySpan<ulong> counts)
    {
        var sum = 0ul;
        foreach (var count in counts)
        {
            sum += count;
        }

        return sum;
    }
}
