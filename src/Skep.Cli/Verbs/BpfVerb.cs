using System.CommandLine;

namespace Skep.Cli.Verbs;

/// <summary><c>skep bpf</c>: objects that other people compiled.</summary>
internal static class BpfVerb
{
    public static Command Build() => new VerbCommand("bpf", "Work with BPF objects that other people compiled.", "skep bpf load probe.o") { BpfLoadVerb.Build(), BpfLinkVerb.Build(), BpfConformanceVerb.Build() };
}
