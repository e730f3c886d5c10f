using Skep.Bpf.Compiler;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Tests.Programs;

public class ProgramKindTests
{
    [Fact]
    public void Names_and_sections_are_unique()
    {
        Assert.Equal(ProgramKinds.All.Count, ProgramKinds.All.Select(k => k.Name).Distinct().Count());
        var sections = ProgramKinds.All.SelectMany(k => k.Sections).Select(s => s.Name).ToArray();
        Assert.Equal(sections.Length, sections.Distinct().Count());
    }

    [Fact]
    public void Every_program_type_has_a_row() => Assert.Equal(
        Enum.GetValues<ProgramType>().Where(t => t != ProgramType.Unspec).Order(), ProgramKinds.All.Select(k => k.Type).Distinct().Order());

    [Fact]
    public void Every_kind_with_a_class_has_a_context() =>
        Assert.All(ProgramKinds.All.Where(k => k.Program is not null), k => Assert.True(k.Context is not null, k.Name));

    [Theory]
    [InlineData("cgroup/connect4", ProgramType.CgroupSockAddr, AttachType.CgroupInet4Connect, null)]
    [InlineData("iter.s/task", ProgramType.Tracing, AttachType.TraceIter, "task")]
    [InlineData("uprobe.multi", ProgramType.Kprobe, AttachType.TraceUprobeMulti, null)]
    public void A_section_leads_to_its_row(string section, ProgramType type, AttachType attach, string? target)
    {
        var match = ProgramKinds.Match(section)!;
        Assert.Equal((type, (AttachType?)attach, target), (match.Kind.Type, match.Section.Attach, match.Target));
    }

    [Fact]
    public void A_section_of_another_kind_is_refused() => Refused(new WrongSection(), "CgroupSockAddrProgram");

    [Fact]
    public void A_section_of_no_kind_is_refused() => Refused(new NoSection(), "'cgroup/connet4'");

    [Fact]
    public void A_helper_of_another_kind_is_refused_with_those_that_have_it() => Refused(new WrongHelper(), "SKEP0013", "PullData", "socket filter", "SkSkb");

    [Fact]
    public void A_field_of_another_kind_is_refused() => Refused(new WrongField(), "SKEP0013", "Mark", "sk_skb");

    [Fact]
    public void The_index_of_a_word_must_be_constant() => Refused(new WordByData(), "SKEP0009", "UserIp6");

    private static void Refused(BpfProgram program, params string[] words)
    {
        var message = Assert.Throws<CompileException>(() => ProgramCompiler.Compile(program)).Message;
        Assert.All(words, word => Assert.Contains(word, message, StringComparison.Ordinal));
    }

    private sealed class WrongSection : XdpProgram
    {
        public override string Section => "cgroup/connect4";

        public override XdpAction Run(ref XdpContext context) => XdpAction.Pass;
    }

    private sealed class NoSection : CgroupSockAddrProgram
    {
        public override string Section => "cgroup/connet4";

        public override CgroupVerdict Run(ref CgroupSockAddrContext context) => CgroupVerdict.Allow;
    }

    private sealed class WrongHelper : SocketFilterProgram
    {
        public override uint Run(ref SkbContext context) => (uint)context.PullData(20);
    }

    private sealed class WrongField : SkSkbProgram
    {
        public override SkVerdict Run(ref SkbContext context) => context.Mark == 0 ? SkVerdict.Pass : SkVerdict.Drop;
    }

    private sealed class WordByData : CgroupSockAddrProgram
    {
        public override string Section => "cgroup/connect6";

        public override CgroupVerdict Run(ref CgroupSockAddrContext context) =>
            context.UserIp6(context.UserPort & 3) == 0 ? CgroupVerdict.Allow : CgroupVerdict.Refuse;
    }
}
