using System.Net;
using System.Net.Sockets;
using Skep.Balancing;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Edge;
using Skep.KernelTests.Surroundings;
using Skep.Packets;

namespace Skep.KernelTests.Balancing;

/// <summary>Programs of every shape are exchanged while datagrams pass; each datagram is counted where it was sent and where it comes out in outer headers.</summary>
public sealed class SwapUnderTrafficTests
{
    private const int Flows = 8, Burst = 32, Swaps = 24, Services = 20;
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);
    private static readonly IPAddress s_here = IPAddress.Parse("10.91.0.1"), s_there = IPAddress.Parse("10.91.0.2"), s_vip = IPAddress.Parse("198.51.100.10");
    private static readonly EdgeOptions s_options = new()
    {
        RingSize = 251, MaxServices = 64, MaxBackends = 128, MaxConnections = 64, MaxFlows = 4096, BlockAddresses = false, BlockPrefixes = false, Balance = false, Measure = false,
    };

    [KernelTheory]
    [InlineData(XdpMode.Native)]
    [InlineData(XdpMode.Generic)]
    public void No_packet_is_lost_and_no_flow_is_given_away_anew(XdpMode mode)
    {
        using var client = new TestNamespace();
        using var balancer = new TestNamespace();
        var (outside, inside) = client.Connect(balancer, "outside", "inside", s_here, s_there);
        client.Run(() => RtNetlink.AddRoute(s_vip, 32, s_there));
        var maps = new EdgeMaps(s_options);
        using var storage = new KernelStorage(maps.All);
        var state = new EdgeState(maps, TimeProvider.System);
        var shapes = Shapes(state, inside).Select(o => ProgramCompiler.Compile(new EdgeProgram(maps, o))).ToArray();

        using var counted = new Global<ulong>("swap_counted");
        using var counter = ProgramLoader.Load(ProgramCompiler.Compile(new CounterProgram(counted)));
        using var atClient = client.Run(() => XdpLink.Attach(counter, outside, mode));
        var program = ProgramLoader.Load(shapes[0]);
        using var link = balancer.Run(() => XdpLink.Attach(program, inside, mode));

        var sent = 0L;
        var isOver = false;
        var sender = Task.Factory.StartNew(() => Send(client, counted, ref sent, ref isOver), TaskCreationOptions.LongRunning);
        for (var i = 1; i <= Swaps; i++)
        {
            var next = ProgramLoader.Load(shapes[i % shapes.Length]);
            link.Update(next);
            program.Dispose();
            program = next;
            var before = Volatile.Read(ref sent);
            Eventually.True(() => sender.IsCompleted || Volatile.Read(ref sent) > before + (2 * Burst), "datagrams pass through the new program");
        }

        Volatile.Write(ref isOver, true);
        sender.GetAwaiter().GetResult();
        program.Dispose();
        Assert.Equal((ulong)sent, counted.Value);
        Assert.Equal((ulong)sent, state.ReadCounters()[EdgeVerdict.Forwarded].Packets);
        Assert.Equal((ulong)Flows, state.Balancer.Services.SelectMany(s => s.Backends).Aggregate(0UL, (sum, b) => sum + state.Balancer.TrafficOf(b.Id).Connections));
    }

    // The next ones wait for all of a burst: what is lost would never let them go.
    private static void Send(TestNamespace client, Global<ulong> counted, ref long sent, ref bool isOver)
    {
        var sockets = client.Run(() => Enumerable.Range(0, Flows).Select(n =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            socket.Connect(s_vip, 5000 + n);
            return socket;
        }).ToArray());
        var started = TimeProvider.System.GetTimestamp();
        while (!Volatile.Read(ref isOver))
        {
            for (var i = 0; i < Burst; i++)
            {
                sockets[i % Flows].Send([1, 2, 3, 4]);
            }

            Volatile.Write(ref sent, sent + Burst);
            while (counted.Value < (ulong)sent)
            {
                Assert.True(TimeProvider.System.GetElapsedTime(started) < s_limit, $"{counted.Value} of {sent} datagrams came out");
                Thread.Yield();
            }
        }

        Array.ForEach(sockets, s => s.Dispose());
    }

    // The general program, endpoints as code, in another order, those with most traffic before the table, the table alone.
    private static EdgeOptions[] Shapes(EdgeState state, int inside)
    {
        var hop = new BackendPath(IpAddress.Parse("10.91.0.2"), 1400, inside, MacAddress.Parse("02:00:00:00:00:01"), MacAddress.Parse("02:00:00:00:00:02"));
        var hops = Enumerable.Range(1, 4).ToDictionary(n => IpAddress.Parse($"10.0.0.{n}"), _ => hop);
        state.Balancer.SetNextHops(hops);
        Assert.Empty(state.Balancer.Apply([.. Enumerable.Range(0, Services).Select(n => new ServiceModel(
            $"s{n}", IpAddress.Parse("198.51.100.10"), (ushort)(5000 + n), IpProtocol.Udp, [.. hops.Keys.Select(b => new BackendModel(b, 5000))])
        {
            Forwarding = ForwardingMode.IpIp,
        })]));
        uint[] hot = [.. state.Balancer.Services.OrderByDescending(s => s.Model.Port).Select(s => s.Id)];
        DirectOptions Plan(IReadOnlyList<uint> first, int most) => DirectPlan.For(state.Balancer.Services, hops.Values, state.FlowSeed, first, most)!;
        return
        [
            s_options with { Direct = new DirectOptions { Seed = state.FlowSeed } },
            s_options with { Direct = Plan([], Services) },
            s_options with { Direct = Plan(hot, Services) },
            s_options with { Direct = Plan(hot[^6..], 4) },
            s_options with { Direct = Plan([], 4) },
        ];
    }

    /// <summary>Counts what comes in outer headers, and takes it.</summary>
    private sealed unsafe class CounterProgram(Global<ulong> count) : XdpProgram
    {
        private readonly Global<ulong> _count = count;

        public override string Name => "swap_count";

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            var ip = data + sizeof(EthernetHeader);
            if (ip + sizeof(IPv4Header) > context.DataEnd || ((EthernetHeader*)data)->EtherType != EtherTypes.IPv4 || ((IPv4Header*)ip)->Protocol != IpProtocol.IPv4)
            {
                return XdpAction.Pass;
            }

            Interlocked.Add(ref _count.Value, 1UL);
            return XdpAction.Drop;
        }
    }
}
