using Skep.Bpf.Asm;
using Skep.Bpf.Elf;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Tests.Elf;

public sealed class ObjectSpecTests
{
    [Fact]
    public void A_program_takes_its_type_from_the_section_and_its_licence_from_the_object()
    {
        var program = Assert.Single(ObjectSpec.Read(SampleObject.Build()).Programs);
        Assert.Null(program.Problem);
        Assert.Equal(("pass", "xdp"), (program.Name, program.Section));
        Assert.Equal((ProgramType.Xdp, AttachType.Xdp, "GPL"), (program.Spec!.Type, program.Spec.ExpectedAttachType, program.Spec.License));
    }

    [Fact]
    public void A_static_function_is_appended_to_the_program_that_calls_it()
    {
        var spec = ObjectSpec.Read(SampleObject.Build()).Program("pass");
        Assert.Equal(12, spec.Instructions.Count);
        Assert.Equal([new FunctionEntry(0, "pass"), new FunctionEntry(8, "constant")], spec.Functions);
        Assert.Equal(1, spec.Instructions[6].Immediate); // from slot 7 on, one further
    }

    [Fact]
    public void Maps_are_read_from_types_from_structs_and_from_data_sections()
    {
        var maps = ObjectSpec.Read(SampleObject.Build()).Maps.ToDictionary(m => m.Name);
        Assert.Equal((MapKind.Array, 4, 8, 4u, true), Shape(maps["counts"]));
        Assert.Equal((MapKind.Hash, 8, 16, 3u, false), Shape(maps["old"]));
        Assert.Equal(MapFlags.NoPrealloc, maps["old"].Flags);
        Assert.Equal((MapKind.Array, 4, 16, 1u, false), Shape(maps[".bss"]));
        Assert.True(maps[".rodata"].IsConstant);
        Assert.Equal(MapFlags.ReadOnlyForPrograms, maps[".rodata"].Flags);
        Assert.Equal(9, maps[".rodata"].InitialValue.Span[0]);

        static (MapKind, int, int, uint, bool) Shape(UntypedMap m) => (m.Kind, m.KeySize, m.ValueSize, m.MaxEntries, m.PinnedByName);
    }

    [Fact]
    public void References_name_the_map_and_the_place_of_the_variable()
    {
        var references = ObjectSpec.Read(SampleObject.Build()).Program("pass").MapReferences;
        Assert.Equal(
            [(0, "counts", (uint?)null), (2, "old", null), (4, ".bss", 8u), (8, ".rodata", 4u)],
            references.Select(r => (r.Slot, r.Map.Name, r.ValueOffset)));
    }

    [Fact]
    public void A_program_in_a_section_of_unknown_name_is_a_problem_of_that_program_only()
    {
        var elf = new ElfWriter();
        elf.Function("good", elf.Code("xdp", new Instruction(0xb7, 0, 0, 0, 2), new Instruction(0x95, 0, 0, 0, 0)), 0, 2);
        elf.Function("odd", elf.Code("xpd", new Instruction(0xb7, 0, 0, 0, 2), new Instruction(0x95, 0, 0, 0, 0)), 0, 2);
        var spec = ObjectSpec.Read(elf.Build());
        Assert.Equal("good", spec.Program("good").Name);
        Assert.Contains("'xpd'", Assert.Throws<NotSupportedException>(() => spec.Program("odd")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_call_of_what_is_nowhere_is_a_problem_that_names_it()
    {
        var elf = new ElfWriter();
        var code = elf.Code("tc", new Instruction(0x85, 0, 1, 0, -1), new Instruction(0x95, 0, 0, 0, 0));
        elf.Function("calls", code, 0, 2);
        elf.Relocate(code, 0, 10, elf.Symbol("no_such_function_anywhere", 0x10, 0, 0, 0));
        var program = Assert.Single(ObjectSpec.Read(elf.Build()).Programs);
        Assert.Contains("no_such_function_anywhere", program.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("xdp.frags", ProgramType.Xdp, AttachType.Xdp, ProgramFlags.XdpHasFrags, null)]
    [InlineData("?tc", ProgramType.SchedCls, null, ProgramFlags.None, null)]
    [InlineData("tcx/ingress", ProgramType.SchedCls, AttachType.TcxIngress, ProgramFlags.None, null)]
    [InlineData("tp/sched/sched_switch", ProgramType.Tracepoint, null, ProgramFlags.None, "sched/sched_switch")]
    [InlineData("tp_btf/kfree_skb", ProgramType.Tracing, AttachType.TraceRawTp, ProgramFlags.None, "kfree_skb")]
    [InlineData("fentry.s/do_unlinkat", ProgramType.Tracing, AttachType.TraceFentry, ProgramFlags.Sleepable, "do_unlinkat")]
    [InlineData("kprobe", ProgramType.Kprobe, null, ProgramFlags.None, null)]
    [InlineData("cgroup/connect6", ProgramType.CgroupSockAddr, AttachType.CgroupInet6Connect, ProgramFlags.None, null)]
    [InlineData("sk_msg", ProgramType.SkMsg, AttachType.SkMsgVerdict, ProgramFlags.None, null)]
    public void A_section_name_says_what_the_program_is(string name, ProgramType type, AttachType? attach, ProgramFlags flags, string? target) =>
        Assert.Equal(new SectionName(type, attach, flags, target), SectionName.Parse(name));

    [Theory]
    [InlineData("xdpx")]
    [InlineData("xdp/other")]
    [InlineData("")]
    [InlineData("maps")]
    public void A_section_name_outside_the_convention_is_not_guessed(string name) => Assert.Null(SectionName.Parse(name));
}
