using Skep.Bpf.Asm;
using Skep.Bpf.Asm.Notation;

namespace Skep.Bpf.Twin.Conformance;

/// <summary>A program with input and expected result, as the public conformance vectors for RFC 9669 have them.</summary>
/// <param name="Name">Name of the file, without extension.</param>
/// <param name="Code">The program: R1 is the address of the memory, R2 its length.</param>
/// <param name="Memory">The input; empty when the program takes none.</param>
/// <param name="Result">What R0 must be at the end; null when the program must be refused.</param>
public sealed record ConformanceVector(string Name, AsmCode Code, byte[] Memory, ulong? Result)
{
    /// <summary>The conformance groups that an engine needs for it.</summary>
    public ConformanceGroups Groups
    {
        get
        {
            var groups = ConformanceGroups.None;
            for (var slot = 0; slot < Code.Instructions.Count; slot++)
            {
                groups |= ConformanceGroup.Of(Code.Instructions[slot]);
                slot += Code.Instructions[slot].IsWideLoad ? 1 : 0;
            }

            return groups;
        }
    }
}
