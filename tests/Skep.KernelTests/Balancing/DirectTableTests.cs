using System.Collections.Immutable;
using Skep.Bpf.Programming;
using Skep.Bpf.Twin;
using Skep.Corpus;
using Skep.Edge;
using Skep.Fuzz;
using Skep.KernelTests.Surroundings;
using Skep.Packets;

namespace Skep.KernelTests.Balancing;

/// <summary>Direct return in the kernel, the bytecode interpreter and the twin: the bytes of the table, and agreement on mutated packets.</summary>
public sealed class DirectTableTests
{
    [KernelTheory]
    [InlineData("base", "general")]
    [InlineData("base", "code")]
    [InlineData("base", "hot")]
    [InlineData("extras", "general")]
    [InlineData("extras", "code")]
    [InlineData("extras", "hot")]
    public void Every_packet_comes_out_as_the_table_says(string name, string shape)
    {
        var table = DirectTable.All[name];
        var maps = new EdgeMaps(table.Options);
        using var storage = new KernelStorage(maps.All);
        var state = new EdgeState(maps, TimeProvider.System);
        table.Prepare(state);
        var options = table.OptionsOf(state, shape);
        using var program = Bpf.Programs.ProgramLoader.Load(Bpf.Compiler.ProgramCompiler.Compile(new EdgeProgram(maps, options)));
        foreach (var packet in table.Cases)
        {
            var before = state.ReadCounters();
            var result = program.TestRun(packet.Frame);
            var after = state.ReadCounters();
            Assert.Equal((packet.Name, packet.Action), (packet.Name, (XdpAction)result.ReturnValue));
            Assert.Equal((packet.Name, packet.Verdict), (packet.Name, Assert.Single(after.Keys, v => after[v].Packets != before[v].Packets)));
            Assert.Equal($"{packet.Name}: {Convert.ToHexStringLower(packet.Output)}", $"{packet.Name}: {Convert.ToHexStringLower(result.Output)}");
        }
    }

    [KernelTheory]
    [InlineData("base", "general")]
    [InlineData("base", "code")]
    [InlineData("base", "hot")]
    [InlineData("extras", "general")]
    [InlineData("extras", "code")]
    [InlineData("extras", "hot")]
    public void Mutated_packets_come_out_the_same_in_every_engine(string name, string shape)
    {
        var table = DirectTable.All[name];
        using var engines = new EnginePair(bind =>
        {
            var maps = new EdgeMaps(table.Options);
            foreach (var map in maps.All)
            {
                bind(map);
            }

            var state = new EdgeState(maps, TimeProvider.System);
            table.Prepare(state);
            // What is written down on the way of a packet is in the share of the CPU that had it, and means nothing afterwards; and each engine has a clock of its own.
            var direct = maps.Balancing.Direct;
            return ([new EdgeProgram(maps, table.OptionsOf(state, shape))], [.. maps.All.Except([direct.Samples, direct.Sampled, maps.Balancing.Histograms])]);
        });
        var packets = table.Cases.Select(c => new NamedPacket(c.Name, c.Frame)).ToArray();
        var mutator = new PacketMutator(packets, seed: 4);
        for (var i = 0; i < 3000; i++)
        {
            var difference = engines.Run(mutator.Next());
            Assert.True(difference is null, $"mutated packet {i}: {difference}");
        }

        Assert.Empty(engines.CompareMaps());
    }

    [KernelTheory]
    [InlineData("base")]
    [InlineData("extras")]
    public void What_comes_in_outer_headers_comes_out_the_same_in_every_engine(string name)
    {
        var table = DirectTable.All[name];
        var backends = table.Services.SelectMany(s => s.Backends).Select(b => b.Address).Distinct().ToArray();
        var ends = new Skep.Balancing.TunnelEndpointModel(
            backends.Select(b => (Address: b, Role: Skep.Balancing.TunnelAddress.Outer))
                .Concat(table.Services.Select(s => (s.Address, Role: Skep.Balancing.TunnelAddress.Virtual))).Distinct()
                .ToImmutableDictionary(p => p.Address, p => p.Role),
            [IpPrefix.Parse("10.0.0.1"), IpPrefix.Parse("fd00::1")])
        { Peers = [.. backends] };
        using var engines = new EnginePair(bind =>
        {
            var options = table.Options with { Direct = null, Decapsulate = true, SendOn = name == "extras" };
            var maps = new EdgeMaps(options);
            foreach (var map in maps.All)
            {
                bind(map);
            }

            var tunnels = new EdgeState(maps, TimeProvider.System).Tunnels;
            tunnels.Apply(ends);
            tunnels.SetNextHops(table.Hops);
            return ([new EdgeProgram(maps, options), new TcEdgeProgram(maps, options)], maps.All);
        });
        var packets = table.Cases.Select(c => new NamedPacket(c.Name, c.Output)).ToArray();
        foreach (var packet in packets)
        {
            Assert.Null(engines.Run(packet.Bytes));
        }

        var mutator = new PacketMutator(packets, seed: 5);
        for (var i = 0; i < 3000; i++)
        {
            var difference = engines.Run(mutator.Next());
            Assert.True(difference is null, $"mutated packet {i}: {difference}");
        }

        Assert.Empty(engines.CompareMaps());
    }
}
