using Skep.Bpf.Maps;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Asm;

/// <summary>Registers of eBPF: R0 results, R1 to R5 arguments, R6 to R9 kept over calls, R10 the frame pointer.</summary>
public static class Register
{
#pragma warning disable CS1591 // the names are those of RFC 9669
    public const byte R0 = 0, R1 = 1, R2 = 2, R3 = 3, R4 = 4, R5 = 5, R6 = 6, R7 = 7, R8 = 8, R9 = 9, R10 = 10;
#pragma warning restore CS1591
}

/// <summary>Writes programs instruction by instruction, with named labels: for tests and probes. Operations are those of <see cref="OpCodes"/>.</summary>
public sealed class Assembler
{
    private readonly List<Instruction> _code = [];
    private readonly List<MapReference> _maps = [];
    private readonly List<SourceLine> _lines = [];
    private readonly List<FunctionEntry> _functions = [];
    private readonly Dictionary<string, int> _labels = [];
    private readonly List<(int Slot, string Label)> _jumps = [];

    /// <summary>Slot of the next instruction.</summary>
    public int Position => _code.Count;

    /// <summary>Appends an instruction as it is.</summary>
    public Assembler Emit(Instruction instruction)
    {
        _code.Add(instruction);
        return this;
    }

    /// <summary>Marks the next instruction.</summary>
    public Assembler Label(string name)
    {
        _labels.Add(name, Position);
        return this;
    }

    /// <summary>Says where the next instructions come from.</summary>
    public Assembler Line(string file, int line, string text = "", int column = 1)
    {
        _lines.Add(new SourceLine(Position, file, line, column, text));
        return this;
    }

    /// <summary>Begins a function; the first instruction begins the main one by itself.</summary>
    public Assembler Function(string name)
    {
        _functions.Add(new FunctionEntry(Position, name));
        return Label(name);
    }

    /// <summary>Says that a function begins at a slot, also one that comes later.</summary>
    public Assembler Function(string name, int slot)
    {
        _functions.Add(new FunctionEntry(slot, name));
        return this;
    }

    /// <summary><c>dst op= immediate</c>, 64 bits.</summary>
    public Assembler Alu(byte operation, byte dst, int immediate) => Emit(new((byte)(OpCodes.ClassAlu64 | operation), dst, 0, 0, immediate));

    /// <summary><c>dst op= src</c>, 64 bits.</summary>
    public Assembler AluRegister(byte operation, byte dst, byte src) =>
        Emit(new((byte)(OpCodes.ClassAlu64 | OpCodes.SourceRegister | operation), dst, src, 0, 0));

    /// <summary><c>dst op= immediate</c>, 32 bits, the upper half becomes zero.</summary>
    public Assembler Alu32(byte operation, byte dst, int immediate) => Emit(new((byte)(OpCodes.ClassAlu | operation), dst, 0, 0, immediate));

    /// <summary><c>dst = immediate</c>, sign-extended.</summary>
    public Assembler Move(byte dst, int immediate) => Alu(OpCodes.Mov, dst, immediate);

    /// <summary><c>dst = src</c>.</summary>
    public Assembler MoveRegister(byte dst, byte src) => AluRegister(OpCodes.Mov, dst, src);

    /// <summary><c>dst = *(size *)(src + offset)</c>.</summary>
    public Assembler Load(byte size, byte dst, byte src, short offset) =>
        Emit(new((byte)(OpCodes.ClassLdx | OpCodes.ModeMem | size), dst, src, offset, 0));

    /// <summary><c>*(size *)(dst + offset) = src</c>.</summary>
    public Assembler Store(byte size, byte dst, short offset, byte src) =>
        Emit(new((byte)(OpCodes.ClassStx | OpCodes.ModeMem | size), dst, src, offset, 0));

    /// <summary><c>*(size *)(dst + offset) = immediate</c>.</summary>
    public Assembler StoreImmediate(byte size, byte dst, short offset, int immediate) =>
        Emit(new((byte)(OpCodes.ClassSt | OpCodes.ModeMem | size), dst, 0, offset, immediate));

    /// <summary>An atomic operation on memory; the kind is one of <c>OpCodes.Atomic*</c>.</summary>
    public Assembler Atomic(byte size, int kind, byte dst, short offset, byte src) =>
        Emit(new((byte)(OpCodes.ClassStx | OpCodes.ModeAtomic | size), dst, src, offset, kind));

    /// <summary>A 64-bit constant.</summary>
    public Assembler LoadImmediate64(byte dst, long value, byte pseudo = 0) =>
        Emit(new(OpCodes.LoadImmediate64, dst, pseudo, 0, (int)value)).Emit(new(0, 0, 0, 0, (int)(value >> 32)));

    /// <summary>A map, as helpers take it.</summary>
    public Assembler LoadMap(byte dst, BpfMap map)
    {
        _maps.Add(new MapReference(Position, map));
        return LoadImmediate64(dst, 0, OpCodes.PseudoMapFd);
    }

    /// <summary>The address of a byte of an array map's first value.</summary>
    public Assembler LoadMapValue(byte dst, BpfMap map, uint offset = 0)
    {
        _maps.Add(new MapReference(Position, map, offset));
        return LoadImmediate64(dst, 0, OpCodes.PseudoMapValue);
    }

    /// <summary>Jumps always.</summary>
    public Assembler Jump(string label) => Jump(OpCodes.Ja, 0, 0, label);

    /// <summary>Jumps when <c>dst op immediate</c>, 64 bits.</summary>
    public Assembler Jump(byte condition, byte dst, int immediate, string label)
    {
        _jumps.Add((Position, label));
        return Emit(new((byte)(OpCodes.ClassJmp | condition), dst, 0, 0, immediate));
    }

    /// <summary>Jumps when <c>dst op src</c>, 64 bits.</summary>
    public Assembler JumpRegister(byte condition, byte dst, byte src, string label)
    {
        _jumps.Add((Position, label));
        return Emit(new((byte)(OpCodes.ClassJmp | OpCodes.SourceRegister | condition), dst, src, 0, 0));
    }

    /// <summary>Calls a helper by its number.</summary>
    public Assembler Call(int helper) => Emit(new(OpCodes.CallInstruction, 0, 0, 0, helper));

    /// <summary>Calls a function of the program.</summary>
    public Assembler CallFunction(string name)
    {
        _jumps.Add((Position, name));
        return Emit(new(OpCodes.CallInstruction, 0, OpCodes.PseudoCall, 0, 0));
    }

    /// <summary>Returns R0.</summary>
    public Assembler Exit() => Emit(new(OpCodes.ExitInstruction, 0, 0, 0, 0));

    /// <summary>The code with all labels resolved.</summary>
    /// <exception cref="InvalidOperationException">A label is missing.</exception>
    public IReadOnlyList<Instruction> Instructions()
    {
        var code = _code.ToArray();
        foreach (var (slot, label) in _jumps)
        {
            if (!_labels.TryGetValue(label, out var target))
            {
                throw new InvalidOperationException($"There is no label '{label}'.");
            }

            // A jump counts from the next slot; a call keeps its distance in the immediate.
            var distance = target - slot - 1;
            code[slot] = code[slot].Code == OpCodes.CallInstruction
                ? code[slot] with { Immediate = distance }
                : code[slot] with { Offset = checked((short)distance) };
        }

        return code;
    }

    /// <summary>The program.</summary>
    public ProgramSpec Build(string name, ProgramType type, AttachType? attachType = null, string? attachTarget = null) => new()
    {
        Name = name,
        Type = type,
        ExpectedAttachType = attachType,
        AttachTarget = attachTarget,
        Instructions = Instructions(),
        MapReferences = [.. _maps],
        Lines = [.. _lines],
        Functions = _functions.Count == 0 ? [new FunctionEntry(0, name)] : _functions.Any(f => f.Slot == 0) ? [.. _functions] : [new FunctionEntry(0, name), .. _functions],
    };
}
