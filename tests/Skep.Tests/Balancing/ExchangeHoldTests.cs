using Skep.Balancing;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Engine;
using Skep.Packets;
using Skep.Tests.Edge;

namespace Skep.Tests.Balancing;

/// <summary>Connections that begin in tables of before while interfaces are exchanged one after the other, with another ring in the tables that follow.</summary>
public sealed class ExchangeHoldTests
{
    private const string Vip = "198.51.100.1", Client = "203.0.113.9", First = "10.0.0.1", Second = "10.0.0.2";
    private static readonly Hook s_outside = new(HookKind.Xdp, "outside", 1), s_inside = new(HookKind.Xdp, "inside", 2);

    [Theory]
    [InlineData(ForwardingMode.Nat, false)]
    [InlineData(ForwardingMode.Nat, true)]
    [InlineData(ForwardingMode.IpIp, false)]
    public void What_no_table_knows_yet_waits_for_its_own_backend(ForwardingMode way, bool isPortUsedAgain)
    {
        using var bed = new Exchange(way);
        if (isPortUsedAgain)
        {
            bed.Old.Pass(s_outside, FromClient(TcpFlags.Syn));
            bed.Old.Pass(s_inside, FromBackend(TcpFlags.Syn | TcpFlags.Ack));
            bed.Old.Pass(s_outside, FromClient(TcpFlags.Ack | TcpFlags.Fin));
            bed.Old.Pass(s_inside, FromBackend(TcpFlags.Ack | TcpFlags.Fin));
        }

        bed.OpenNext();
        bed.Datapath.Prepare([]);
        Assert.Equal(EdgeVerdict.Forwarded, bed.Old.Pass(s_outside, FromClient(TcpFlags.Syn)));
        if (way == ForwardingMode.Nat)
        {
            Assert.Equal(EdgeVerdict.Replied, bed.Old.Pass(s_inside, FromBackend(TcpFlags.Syn | TcpFlags.Ack)));
        }

        bed.Next!.AttachTo(s_outside);
        Assert.Equal(EdgeVerdict.Held, bed.Next.Pass(s_outside, FromClient(TcpFlags.Ack)));
        bed.Next.AttachTo(s_inside);
        if (way == ForwardingMode.Nat && !isPortUsedAgain)
        {
            Assert.Equal(EdgeVerdict.Held, bed.Next.Pass(s_inside, FromBackend(TcpFlags.Ack)));
            Assert.Equal(EdgeVerdict.Passed, bed.Next.Pass(s_inside, PacketBuilder.Ethernet().IPv4(First, Client).Udp(80, 4000).Payload(4).Build()));
        }

        // What begins is not held up.
        Assert.Equal(EdgeVerdict.Forwarded, bed.Next.Pass(s_outside, FromClient(TcpFlags.Syn, 4001)));
        Assert.Equal((0ul, 1ul), bed.Next.Given());

        bed.Datapath.Settle();
        Assert.Equal(EdgeVerdict.Forwarded, bed.Next.Pass(s_outside, FromClient(TcpFlags.Ack)));
        Assert.Equal((1ul, 1ul), bed.Next.Given());
        if (way == ForwardingMode.Nat)
        {
            Assert.Equal(EdgeVerdict.Replied, bed.Next.Pass(s_inside, FromBackend(TcpFlags.Ack)));
        }
    }

    [Fact]
    public void Without_an_agent_to_end_it_a_hold_ends_by_itself()
    {
        using var bed = new Exchange(ForwardingMode.Nat);
        bed.OpenNext();
        bed.Datapath.Prepare([]);
        bed.Next!.AttachTo(s_outside);
        Assert.Equal(EdgeVerdict.Held, bed.Next.Pass(s_outside, FromClient(TcpFlags.Ack)));
        bed.Datapath.Twin.Environment.Advance(TimeSpan.FromSeconds(6));
        Assert.Equal(EdgeVerdict.Forwarded, bed.Next.Pass(s_outside, FromClient(TcpFlags.Ack)));
    }

    private static byte[] FromClient(TcpFlags flags, ushort port = 4000) => PacketBuilder.Ethernet().IPv4(Client, Vip).Tcp(port, 80, flags).Build();

    private static byte[] FromBackend(TcpFlags flags) => PacketBuilder.Ethernet().IPv4(First, Client).Tcp(80, 4000, flags).Build();

    /// <summary>A datapath with tables in force whose ring has the first backend, and tables that follow whose ring has the second.</summary>
    private sealed class Exchange : IDisposable
    {
        private readonly ForwardingMode _way;

        public Exchange(ForwardingMode way)
        {
            _way = way;
            Old = new Side(this, EdgeBed.Small, 1, 0);
            Old.AttachTo(s_outside);
            Old.AttachTo(s_inside);
        }

        public TwinDatapath Datapath { get; } = new();

        public Side Old { get; }

        public Side? Next { get; private set; }

        public void OpenNext() => Next = new Side(this, EdgeBed.Small with { MaxConnections = 512, MaxFlows = 1 << 20 }, 0, 1);

        public void Dispose() => Datapath.Dispose();

        public ServiceModel Service(int first, int second) =>
            EdgeBed.Service("web", Vip, 80, IpProtocol.Tcp, EdgeBed.Backend(First, 80, first), EdgeBed.Backend(Second, 80, second)) with { Forwarding = _way };

        public EdgeOptions OptionsFor(EdgeOptions sizes) => _way == ForwardingMode.Nat ? sizes : sizes with { Direct = new DirectOptions(), Balance = false };
    }

    private sealed class Side
    {
        private readonly Exchange _bed;
        private readonly EdgeProgram _program;
        private readonly EdgeState _state;
        private readonly (ulong First, ulong Second) _before;

        public Side(Exchange bed, EdgeOptions sizes, int first, int second)
        {
            _bed = bed;
            var options = bed.OptionsFor(sizes);
            var maps = new EdgeMaps(options);
            bed.Datapath.Open(maps.All, maps.MigrationOf);
            _state = new EdgeState(maps, new TwinTime(bed.Datapath.Twin));
            _state.Balancer.SetNextHops(new[] { First, Second }.ToDictionary(IpAddress.Parse, _ => new BackendPath(IpAddress.Parse("10.0.0.100"), 1500, 1)));
            Assert.Empty(_state.Balancer.Apply([bed.Service(first, second)]));
            _program = new EdgeProgram(maps, options with { Direct = options.Direct is { } direct ? direct with { Seed = _state.FlowSeed } : null });
            _before = Total();
        }

        public void AttachTo(Hook hook) => _bed.Datapath.Attach(hook, _program);

        public EdgeVerdict Pass(Hook hook, byte[] packet)
        {
            var before = _state.ReadCounters();
            _bed.Datapath.Pass(hook.Target, hook.InterfaceIndex, packet, outgoing: false);
            var after = _state.ReadCounters();
            return Assert.Single(after.Keys, v => after[v].Packets != before[v].Packets);
        }

        /// <summary>Packets that each backend was given by this side's program.</summary>
        public (ulong First, ulong Second) Given()
        {
            var (first, second) = Total();
            return (first - _before.First, second - _before.Second);
        }

        private (ulong First, ulong Second) Total()
        {
            var backends = _state.Balancer.Services.Single().Backends;
            return (Of(First), Of(Second));

            ulong Of(string address) => (ulong)_state.Balancer.TrafficOf(backends.Single(b => b.Model.Address == IpAddress.Parse(address)).Id).Packets;
        }
    }
}
