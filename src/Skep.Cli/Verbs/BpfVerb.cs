using System.CommandLine;
using Skep.Cli.Verbs.Bpf;

namespace Skep.Cli.Verbs;

/// <summary><c>skep bpf</c>: what is loaded in the kernel, and objects that other people compiled.</summary>
internal static class BpfVerb
{
    public static Command Build() => new VerbCommand(
        "bpf", "Look at programs, maps, links and types in the kernel; load and link objects that other people compiled.",
        "skep bpf prog list", "skep bpf map dump flows", "skep bpf load probe.o")
    {
        BpfProgVerb.Build(), BpfMapVerb.Build(), BpfAttachmentVerbs.AddTo(BpfLinkVerb.Build()), BpfBtfVerb.Build(), BpfFeaturesVerb.Build(),
        BpfLoadVerb.Build(), BpfCheckVerb.Build(), BpfAsmVerb.Build(), BpfDisasmVerb.Build(), BpfConformanceVerb.Build(),
    };
}
