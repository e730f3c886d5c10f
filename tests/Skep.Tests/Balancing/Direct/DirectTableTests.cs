using Skep.Bpf.Twin;
using Skep.Corpus;
using Skep.Edge;

namespace Skep.Tests.Balancing.Direct;

/// <summary>Each packet of the table comes out of the twin as it stands there, by the general program and by one with the endpoints as code.</summary>
public sealed class DirectTableTests
{
    [Theory]
    [InlineData("base", "general")]
    [InlineData("base", "code")]
    [InlineData("base", "hot")]
    [InlineData("extras", "general")]
    [InlineData("extras", "code")]
    [InlineData("extras", "hot")]
    public void Every_packet_comes_out_as_the_table_says(string name, string shape)
    {
        var table = DirectTable.All[name];
        using var twin = new TwinEngine();
        var maps = new EdgeMaps(table.Options);
        foreach (var map in maps.All)
        {
            twin.Bind(map);
        }

        var state = new EdgeState(maps, twin.Environment.TimeProvider);
        Assert.All(table.Prepare(state), p => Assert.Contains("no-route", p.Message, StringComparison.Ordinal));
        var program = new EdgeProgram(maps, table.OptionsOf(state, shape));
        foreach (var packet in table.Cases)
        {
            var before = state.ReadCounters();
            var result = twin.Run(program, packet.Frame);
            var after = state.ReadCounters();
            Assert.Equal((packet.Name, packet.Action), (packet.Name, result.Action));
            Assert.Equal((packet.Name, packet.Verdict), (packet.Name, Assert.Single(after.Keys, v => after[v].Packets != before[v].Packets)));
            Assert.Equal($"{packet.Name}: {Convert.ToHexStringLower(packet.Output)}", $"{packet.Name}: {Convert.ToHexStringLower(result.Packet)}");
        }
    }
}
