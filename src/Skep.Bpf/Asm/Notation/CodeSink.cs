using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Asm.Notation;

/// <summary>Collects instructions, and jumps whose labels come later.</summary>
internal sealed class CodeSink
{
    private readonly List<(int Slot, string Label, int Line, int Column)> _jumps = [];

    public List<Instruction> Code { get; } = [];

    public Dictionary<string, int> Labels { get; } = [];

    public List<AsmMapUse> Maps { get; } = [];

    /// <summary>Line of the text that is being read.</summary>
    public int Line { get; set; }

    /// <summary>Opcode that a listing gives in front of the instruction; null where there is none.</summary>
    public byte? ListedOpcode { get; set; }

    public void Emit(int code, byte dst, byte src, short offset, int immediate) => Code.Add(new((byte)code, dst, src, offset, immediate));

    public void EmitWide(byte dst, byte pseudo, int low, int high)
    {
        Emit(LoadImmediate64, dst, pseudo, 0, low);
        Emit(0, 0, 0, 0, high);
    }

    /// <summary>An instruction that goes to a label: where its distance stands depends on its opcode.</summary>
    public void EmitTo(string label, int column, int code, byte dst, byte src, int immediate)
    {
        _jumps.Add((Code.Count, label, Line, column));
        Emit(code, dst, src, 0, immediate);
    }

    /// <summary>Puts distances into jumps; gives the errors.</summary>
    public IEnumerable<AsmError> Resolve()
    {
        foreach (var (slot, label, line, column) in _jumps)
        {
            if (!Labels.TryGetValue(label, out var target))
            {
                yield return new AsmError(line, column, $"expected a label of the program, but there is no '{label}:'");
                continue;
            }

            var i = Code[slot];
            var distance = target - slot - 1;
            if (i.Code is CallInstruction or LoadImmediate64 or (ClassJmp32 | Ja))
            {
                Code[slot] = i with { Immediate = distance };
            }
            else if (distance == (short)distance)
            {
                Code[slot] = i with { Offset = (short)distance };
            }
            else
            {
                yield return new AsmError(line, column, FormattableString.Invariant($"label '{label}' is {distance} slots away, and a jump reaches 32767: use gotol"));
            }
        }
    }
}
