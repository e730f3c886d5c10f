using Skep.Balancing;
using Skep.Bpf.Buffers;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Edge.Tracing;
using Skep.Fuzz;
using Skep.Packets;

namespace Skep.KernelTests.Edge;

/// <summary>Packets of one connection, as programs write them down in the twin, the bytecode interpreter and the kernel, and what is told of them.</summary>
public sealed class TraceTests
{
    private static readonly EdgeOptions s_options = new()
    {
        RingSize = 251, MaxServices = 8, MaxBackends = 16, MaxConnections = 64, MaxFlows = 1024, MaxBlockedAddresses = 16, MaxBlockedPrefixes = 16, MaxSources = 64,
        BlockPrefixes = false, Measure = false, Trace = true,
    };

    public static TheoryData<ForwardingMode, bool, bool> Ways() => new()
    {
        { ForwardingMode.Nat, true, true }, { ForwardingMode.Nat, false, true }, { ForwardingMode.Nat, true, false }, { ForwardingMode.Nat, false, false },
        { ForwardingMode.IpIp, true, true }, { ForwardingMode.IpIp, false, true }, { ForwardingMode.Geneve, true, true }, { ForwardingMode.L2, false, true },
    };

    [KernelTheory]
    [MemberData(nameof(Ways))]
    public void A_connection_is_told_from_the_same_records_in_every_engine(ForwardingMode mode, bool isIPv4, bool atXdp)
    {
        var (client, vip, server) = isIPv4 ? ("192.0.2.1", "198.51.100.1", "10.0.0.1") : ("2001:db8:c::1", "2001:db8::1", "fd00::1");
        var backend = IpAddress.Parse(server);
        var isDirect = mode != ForwardingMode.Nat;
        var port = (ushort)(isDirect ? 80 : 8080);
        var service = new ServiceModel("web", IpAddress.Parse(vip), 80, IpProtocol.Tcp, [new BackendModel(backend, port)]) { Forwarding = mode };
        var options = s_options with { Balance = !isDirect, Direct = isDirect ? new DirectOptions() : null };
        var states = new List<(EdgeMaps Maps, EdgeState State)>();
        using var engines = new EnginePair(bind =>
        {
            var maps = new EdgeMaps(options);
            foreach (var map in maps.All.Concat(maps.Trace.All))
            {
                bind(map);
            }

            var state = new EdgeState(maps, TimeProvider.System);
            state.Balancer.SetNextHops(new Dictionary<IpAddress, BackendPath>
            {
                [backend] = new(IpAddress.Parse(isIPv4 ? "10.0.0.100" : "fd00::100"), 1500, 7, MacAddress.Parse("02:00:00:00:00:0a"), MacAddress.Parse("02:00:00:00:00:0b")),
            });
            Assert.Empty(state.Balancer.Apply([service]));
            state.BlockList.Apply([]);
            maps.Trace.Filter.Value = new TraceFilter
            {
                Client = IpAddress.Parse(client), Service = IpAddress.Parse(vip), RawPorts = (uint)NetworkUInt16.From(80).Raw << 16, Protocol = (uint)IpProtocol.Tcp,
            };
            states.Add((maps, state));
            BpfProgram program = atXdp ? new EdgeProgram(maps, options) : new TcEdgeProgram(maps, options);
            return ([program], maps.All);
        });

        void Send(string from, string to, ushort source, ushort destination, TcpFlags flags)
        {
            var ip = isIPv4 ? PacketBuilder.Ethernet().IPv4(from, to) : PacketBuilder.Ethernet().IPv6(from, to);
            Assert.Null(engines.Run(ip.Tcp(source, destination, flags).Payload(new byte[flags == TcpFlags.Syn ? 0 : 7]).Build()));
        }

        Send(client, vip, 4000, 80, TcpFlags.Syn);
        if (!isDirect)
        {
            Send(server, client, 8080, 4000, TcpFlags.Syn | TcpFlags.Ack);
        }

        Send(client, vip, 4000, 80, TcpFlags.Ack);

        // Of others: another client, another port, and one that nobody rewrote.
        Send(isIPv4 ? "192.0.2.2" : "2001:db8:c::2", vip, 4000, 80, TcpFlags.Syn);
        Send(client, vip, 4000, 81, TcpFlags.Syn);
        Send(vip, client, 80, 4000, TcpFlags.Ack);
        Assert.Equal(3, states.Count);
        var told = states.Select(s => Tell(s.Maps, s.State)).ToArray();
        Assert.Equal(told[0], told[1]);
        Assert.Equal(told[0], told[2]);
        var text = told[2];
        Assert.Contains($"TCP SYN {EndpointText.Of(IpAddress.Parse(client), 4000)} -> {service.Endpoint[..^4]}, 0 bytes of data", text, StringComparison.Ordinal);
        Assert.Contains($"{service.Endpoint} is service 'web' ({mode.ToString().ToLowerInvariant()}).", text, StringComparison.Ordinal);
        Assert.Contains(isDirect ? "The flow table does not know it. Its addresses and ports hash to slot " : "The connection table does not know it. Its addresses and ports hash to slot ", text, StringComparison.Ordinal);
        Assert.Contains($"of the ring, which belongs to {EndpointText.Of(backend, port)}.", text, StringComparison.Ordinal);
        Assert.Contains($"The {(isDirect ? "flow" : "connection")} table knows it: it belongs to {EndpointText.Of(backend, port)}.", text, StringComparison.Ordinal);
        Assert.Contains(
            mode switch
            {
                ForwardingMode.Nat => $"Its destination is rewritten to {EndpointText.Of(backend, 8080)}.",
                ForwardingMode.L2 => "Its Ethernet addresses are rewritten: to 02:00:00:00:00:0b.",
                _ => $"It is put in outer headers ({mode.ToString().ToLowerInvariant()}) from {(isIPv4 ? "10.0.0.100" : "fd00::100")} to {server}.",
            },
            text, StringComparison.Ordinal);
        Assert.Contains(isDirect ? "It is sent out of backends" : "It goes on to the network stack.", text, StringComparison.Ordinal);

        // What was not said of the connection is told of the answer, and only where it passes.
        Assert.Equal(isDirect, !text.Contains($"Its source is rewritten to {EndpointText.Of(IpAddress.Parse(vip), 80)}.", StringComparison.Ordinal));
        Assert.Equal(isDirect ? 2 : 3, text.Split("It came in by").Length - 1);
    }

    [KernelFact]
    public void What_is_dropped_is_told_with_its_reason()
    {
        var states = new List<(EdgeMaps Maps, EdgeState State)>();
        using var engines = new EnginePair(bind =>
        {
            var maps = new EdgeMaps(s_options);
            foreach (var map in maps.All.Concat(maps.Trace.All))
            {
                bind(map);
            }

            var state = new EdgeState(maps, TimeProvider.System);
            state.Balancer.Apply([new ServiceModel("web", IpAddress.Parse("198.51.100.1"), 80, IpProtocol.Udp, [new BackendModel(IpAddress.Parse("10.0.0.1"), 80, Alive: false)])]);
            maps.Trace.Filter.Value = new TraceFilter
            {
                Client = IpAddress.Parse("192.0.2.1"), Service = IpAddress.Parse("198.51.100.1"), Protocol = (uint)IpProtocol.Udp,
                RawPorts = NetworkUInt16.From(4000).Raw | ((uint)NetworkUInt16.From(80).Raw << 16),
            };
            states.Add((maps, state));
            return ([new EdgeProgram(maps, s_options)], maps.All);
        });
        Assert.Null(engines.Run(PacketBuilder.Ethernet().IPv4("192.0.2.1", "198.51.100.1").Udp(4000, 80).Payload(3).Build()));
        Assert.Null(engines.Run(PacketBuilder.Ethernet().IPv4("192.0.2.1", "198.51.100.1").Udp(4001, 80).Payload(3).Build()));
        foreach (var (maps, state) in states)
        {
            var text = Tell(maps, state);
            Assert.StartsWith("UDP 192.0.2.1:4000 -> 198.51.100.1:80, 3 bytes of data: NoBackend", text, StringComparison.Ordinal);
            Assert.Contains("which belongs to nobody.", text, StringComparison.Ordinal);
            Assert.Contains("It is dropped: no backend takes connections.", text, StringComparison.Ordinal);
            Assert.DoesNotContain("4001", text, StringComparison.Ordinal);
        }
    }

    [KernelFact]
    public void The_kernel_takes_tracing_beside_all_of_direct_return()
    {
        var options = s_options with
        {
            Balance = false, Decapsulate = true, SendOn = true, BlockPrefixes = true, RateLimit = new Skep.Filtering.SourceRate(1000, 1000), Limits = new ServiceLimits(true, true, true),
            Direct = new DirectOptions { Measure = true, Sample = true, Features = Enum.GetValues<VipFlags>().Aggregate((all, f) => all | f) },
        };
        var maps = new EdgeMaps(options);
        using var storage = new Surroundings.KernelStorage([.. maps.All, .. maps.Trace.All]);
        using var loaded = Bpf.Programs.ProgramLoader.Load(Bpf.Compiler.ProgramCompiler.Compile(new EdgeProgram(maps, options)));
        Assert.NotEqual(0u, loaded.Id);
    }

    private static string Tell(EdgeMaps maps, EdgeState state)
    {
        var story = new TraceStory(state.Balancer, index => index == 7 ? "backends" : "eth1");
        using var reader = new RingBufferReader<TraceRecord>(maps.Trace.Events);
        var text = new System.Text.StringBuilder();
        while (reader.TryRead(out var record))
        {
            var told = story.Tell(in record);
            text.AppendLine(System.Globalization.CultureInfo.InvariantCulture, $"{told.Summary}: {told.Verdict}");
            foreach (var step in told.Steps)
            {
                text.AppendLine(System.Globalization.CultureInfo.InvariantCulture, $"  {step}");
            }
        }

        Assert.Equal(0ul, maps.Trace.ReadLost());
        return text.ToString();
    }
}
