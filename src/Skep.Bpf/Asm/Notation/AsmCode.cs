using Skep.Bpf.Maps;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Asm.Notation;

/// <summary>What assembler text says.</summary>
/// <param name="Instructions">The code, labels resolved.</param>
/// <param name="Lines">Line of the text for each instruction.</param>
/// <param name="Functions">The main function at slot 0, and every target of a call.</param>
/// <param name="Labels">Slot of each label.</param>
/// <param name="Maps">Maps that are named, and where.</param>
public sealed record AsmCode(
    IReadOnlyList<Instruction> Instructions,
    IReadOnlyList<SourceLine> Lines,
    IReadOnlyList<FunctionEntry> Functions,
    IReadOnlyDictionary<string, int> Labels,
    IReadOnlyList<AsmMapUse> Maps)
{
    /// <summary>A program of this code.</summary>
    /// <param name="name">Name in the kernel.</param>
    /// <param name="type">Program type.</param>
    /// <param name="maps">Finds the map that the text calls <c>map[name]</c>; needed only when it names one.</param>
    /// <exception cref="ArgumentException">A map is named that <paramref name="maps"/> does not have.</exception>
    public ProgramSpec Build(string name, ProgramType type, Func<string, BpfMap?>? maps = null) => new()
    {
        Name = name,
        Type = type,
        Instructions = Instructions,
        Lines = Lines,
        Functions = [new FunctionEntry(0, name), .. Functions.Where(f => f.Slot != 0)],
        MapReferences = [.. Maps.Select(use => new MapReference(
            use.Slot,
            maps?.Invoke(use.Map) ?? throw new ArgumentException($"The program uses map '{use.Map}', which is not given.", nameof(maps)),
            use.ValueOffset))],
    };
}

/// <summary>A 64-bit load of a map that has a name.</summary>
/// <param name="Slot">Slot of the first half.</param>
/// <param name="Map">The map's name.</param>
/// <param name="ValueOffset">Null for the map itself; else bytes into its first value.</param>
public readonly record struct AsmMapUse(int Slot, string Map, uint? ValueOffset);
