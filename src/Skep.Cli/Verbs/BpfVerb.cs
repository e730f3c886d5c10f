using System.CommandLine;
using Skep.Cli.Verbs.Bpf;

namespace Skep.Cli.Verbs;

/// <summary><c>skep bpf</c>: what is loaded in the kernel, and objects that other people compiled.</summary>
internal static class BpfVerb
{
    private static readonly (string Name, Func<Command> Build)[] s_verbs =
    [
        ("prog", BpfProgVerb.Build),
        ("map", BpfMapVerb.Build),
        ("link", static () => BpfAttachmentVerbs.AddTo(BpfLinkVerb.Build())),
        ("btf", BpfBtfVerb.Build),
        ("features", BpfFeaturesVerb.Build),
        ("load", BpfLoadVerb.Build),
        ("check", BpfCheckVerb.Build),
        ("asm", BpfAsmVerb.Build),
        ("disasm", BpfDisasmVerb.Build),
        ("conformance", BpfConformanceVerb.Build),
    ];

    public static Command Build() => Build(null);

    /// <summary>The command with all its verbs, or with the one that is asked for.</summary>
    public static Command Build(string? verb)
    {
        var command = new VerbCommand(
            "bpf", "Look at programs, maps, links and types in the kernel; load and link objects that other people compiled.",
            "skep bpf prog list", "skep bpf map dump flows", "skep bpf load probe.o");
        var only = Array.Find(s_verbs, v => v.Name == verb).Build;
        foreach (var (_, build) in s_verbs)
        {
            if (only is null || build == only)
            {
                command.Add(build());
            }
        }

        return command;
    }
}
