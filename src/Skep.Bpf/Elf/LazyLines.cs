using System.Collections;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Elf;

/// <summary>Source lines of a program, decoded when somebody looks: after a rejection, that is, and seldom else.</summary>
internal sealed class LazyLines(ObjectCode code, (FunctionEntry Entry, ObjectFunction Function)[] entries) : IReadOnlyList<SourceLine>
{
    private SourceLine[]? _lines;

    public int Count => All.Length;

    public SourceLine this[int index] => All[index];

    private SourceLine[] All => _lines ??= Decode();

    public IEnumerator<SourceLine> GetEnumerator() => ((IEnumerable<SourceLine>)All).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private SourceLine[] Decode()
    {
        var result = new List<SourceLine>();
        foreach (var (entry, function) in entries)
        {
            foreach (var line in code.LinesOf(function))
            {
                result.Add(code.Decode(line) with { Slot = entry.Slot + line.Slot - function.Start });
            }
        }

        return [.. result];
    }
}
