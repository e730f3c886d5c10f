using System.Collections.Immutable;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Tests.Programming;

public class ProgramGraphTests
{
    private interface IStage;

    private sealed class Stage(string? name = null) : IStage
    {
        private readonly HashMap<uint, uint> _entries = new(8, name);

        public HashMap<uint, uint> Entries => _entries;
    }

    private readonly struct Pair(ArrayMap<uint> left, ArrayMap<uint> right)
    {
        private readonly ArrayMap<uint> _left = left;
        private readonly ArrayMap<uint> _right = right;
    }

    private abstract class Base : XdpProgram
    {
        private readonly ArrayMap<ulong> _counters = new(4);

        public override XdpAction Run(ref XdpContext context) => XdpAction.Pass;
    }

    private sealed class Program(HashMap<uint, uint> shared) : Base
    {
        private readonly HashMap<uint, uint> __blockList = new(4);
        private readonly HashMap<uint, uint> _named = new(4, "custom");
        private readonly Stage _ingress = new();
        private readonly Stage _egress = new();
        private readonly Stage? _off = null;
        private readonly Pair _pair = new(new(1), new(2));
        private readonly IStage[] _stages = [new Stage("a"), new Stage("b")];
        private readonly ImmutableArray<ArrayMap<uint>> _tables = [new(1), new(2)];
        private readonly ImmutableArray<uint> _numbers = [1, 2];
        private readonly ImmutableArray<Stage> _empty = default;
        private readonly TimeProvider _time = TimeProvider.System;

        public RingBuffer<uint> Events { get; } = new(4096);

        public HashMap<uint, uint> Shared => shared;

        public Stage Ingress => _ingress;

        public override string Name => $"{__blockList.Name}{_named.Name}{_egress}{_off}{_pair}{_stages}{_tables}{_numbers}{_empty}{_time}";
    }

    [Fact]
    public void Every_map_is_found_once_and_named_after_its_field()
    {
        var program = new Program(new HashMap<uint, uint>(1));
        var maps = ProgramGraph.Maps(program);
        Assert.Equal(
            ["counters", "shared", "blockList", "custom", "entries", "egress_entries", "left", "right", "a", "b", "tables", "tables2", "events"],
            maps.Select(m => m.Name));
        Assert.Same(program.Shared, maps[1]);
        Assert.Same(program.Ingress.Entries, maps[4]);
    }

    [Fact]
    public void Names_stay_when_the_graph_is_walked_again()
    {
        var program = new Program(new HashMap<uint, uint>(1));
        var first = ProgramGraph.Maps(program).Select(m => m.Name).ToArray();
        Assert.Equal(first, ProgramGraph.Maps(program).Select(m => m.Name));
    }

    [Theory]
    [InlineData("_blockList", "blockList")]
    [InlineData("Counters", "counters")]
    [InlineData("<Events>k__BackingField", "events")]
    [InlineData("<shared>P", "shared")]
    [InlineData("__", "map")]
    public void Field_names_become_map_names(string field, string expected) => Assert.Equal(expected, ProgramGraph.NameOf(field));
}
