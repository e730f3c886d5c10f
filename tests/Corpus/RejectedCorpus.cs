using Skep.Bpf.Asm.Notation;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;

namespace Skep.Corpus;

/// <summary>A program that the verifier must reject.</summary>
/// <param name="Title">What is wrong.</param>
/// <param name="Rule">Number of the rule that is broken.</param>
/// <param name="Spec">The program; its source lines are those of the corpus file.</param>
internal sealed record RejectedProgram(string Title, string Rule, ProgramSpec Spec);

/// <summary>The programs of tests/Corpus/Rejected.txt, for the kernel's verifier and for our own.</summary>
internal static class RejectedCorpus
{
    public static IEnumerable<RejectedProgram> Read()
    {
        using var reader = new StreamReader(typeof(RejectedCorpus).Assembly.GetManifestResourceStream("Rejected")!);
        Dictionary<string, BpfMap> maps = new()
        {
            ["values"] = new HashMap<ulong, ulong>(4, "values"),
            ["numbers"] = new UntypedMap(MapKind.Array, 4, 32, 1, MapFlags.None, "numbers"),
            ["ring"] = new RingBuffer<ulong>(4096, "ring"),
            ["fixed"] = new UntypedMap(MapKind.Array, 4, 8, 1, MapFlags.ReadOnlyForPrograms, "fixed"),
        };
        foreach (var block in reader.ReadToEnd().Split("\n== ").Skip(1))
        {
            var end = block.IndexOf('\n', StringComparison.Ordinal);
            var head = block[..end].Split(' ', 3);
            var code = AsmReader.Read(block[(end + 1)..], "Rejected.txt");
            yield return new RejectedProgram(head[2], head[0], code.Build("rejected", Enum.Parse<ProgramType>(head[1]), maps.GetValueOrDefault));
        }
    }
}
