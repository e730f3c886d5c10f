using Skep.Bpf.Asm;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>
/// Below level 3 there is no 32-bit arithmetic and there are no 32-bit jumps, below level 2 no jumps on less: they are made of what there is. 32-bit values are
/// kept zero-extended, so most need only their upper half cleared again. Runs on virtual registers.
/// </summary>
internal sealed class OldInstructions
{
    private const int Half = 32;

    private readonly MachineFunction _function;
    private Row<MachineInstruction> _code = [];
    private SourcePosition _position;

    private OldInstructions(MachineFunction function) => _function = function;

    public static void Run(MachineFunction function)
    {
        if (function.IsaLevel < 3)
        {
            new OldInstructions(function).Run();
        }
    }

    private void Run()
    {
        foreach (var block in _function.Blocks)
        {
            var old = block.Code;
            _code = new Row<MachineInstruction>(old.Count * 2);
            foreach (var instruction in old)
            {
                _position = instruction.Position;
                Lower(instruction);
            }

            block.Code = _code;
        }
    }

    private void Lower(MachineInstruction instruction)
    {
        var isHalf = (instruction.Code & 0x07) == OpCodes.ClassAlu;
        switch (instruction.Kind)
        {
            case MachineKind.Move when isHalf && instruction.Src == MachineInstruction.None:
                Constant(instruction.Dst, (uint)instruction.Immediate);
                break;
            case MachineKind.Move when isHalf:
                Copy(instruction.Dst, instruction.Src);
                ClearUpper(instruction.Dst);
                break;
            case MachineKind.Unary when isHalf && (instruction.Code & 0xf0) == OpCodes.Neg:
                instruction.Code = OpCodes.ClassAlu64 | OpCodes.Neg;
                _code.Add(instruction);
                ClearUpper(instruction.Dst);
                break;
            case MachineKind.Alu when isHalf:
                LowerArithmetic(instruction);
                break;
            case MachineKind.JumpIf:
                LowerJump(instruction);
                break;
            case MachineKind.Set:
                LowerSet(instruction);
                break;
            default:
                _code.Add(instruction);
                break;
        }
    }

    private void LowerArithmetic(MachineInstruction instruction)
    {
        var operation = (byte)(instruction.Code & 0xf0);
        var isImmediate = instruction.Src == MachineInstruction.None;
        switch (operation)
        {
            case OpCodes.Div or OpCodes.Mod when isImmediate && instruction.Immediate < 0:
                // Not as a number with a sign.
                instruction.Src = Constant((uint)instruction.Immediate);
                isImmediate = false;
                break;
            case OpCodes.Lsh or OpCodes.Rsh or OpCodes.Arsh:
                if (operation == OpCodes.Arsh)
                {
                    SignExtend(instruction.Dst);
                }

                if (isImmediate)
                {
                    instruction.Immediate &= Half - 1;
                    break;
                }

                // The wide shift takes the count modulo 64.
                var count = _function.NewRegister();
                Copy(count, instruction.Src);
                Alu(OpCodes.And, count, Half - 1);
                instruction.Src = count;
                break;
        }

        instruction.Code = (byte)(OpCodes.ClassAlu64 | operation | (isImmediate ? OpCodes.SourceImmediate : OpCodes.SourceRegister));
        _code.Add(instruction);
        if (!instruction.StaysInHalf && operation is not (OpCodes.Div or OpCodes.Mod or OpCodes.And or OpCodes.Rsh) && !(operation is OpCodes.Or or OpCodes.Xor && (!isImmediate || instruction.Immediate >= 0)))
        {
            ClearUpper(instruction.Dst);
        }
    }

    private void LowerJump(MachineInstruction jump)
    {
        var (code, a, b, immediate) = Comparison(jump.Code, jump.Dst, jump.Src, jump.Immediate);
        (jump.Dst, jump.Src, jump.Immediate) = (a, b, immediate);
        jump.Code = (byte)(code | (b == MachineInstruction.None ? OpCodes.SourceImmediate : OpCodes.SourceRegister));
        _code.Add(jump);
    }

    private void LowerSet(MachineInstruction set)
    {
        var (code, a, b, immediate) = Comparison(set.Code, set.Src, set.Src2, set.Immediate);
        (set.Code, set.Src, set.Src2, set.Immediate) = (code, a, b, immediate);
        _code.Add(set);
    }

    /// <summary>The comparison by a jump this level has, without the bit that tells a register from a number.</summary>
    private (byte Code, int A, int B, long Immediate) Comparison(byte code, int a, int b, long immediate)
    {
        var operation = (byte)(code & 0xf0);
        if ((code & 0x07) == OpCodes.ClassJmp32)
        {
            if (operation is OpCodes.Jsgt or OpCodes.Jsge or OpCodes.Jslt or OpCodes.Jsle)
            {
                a = Signed(a);
                b = b == MachineInstruction.None ? b : Signed(b);
            }
            else if (b == MachineInstruction.None && immediate < 0)
            {
                (b, immediate) = (Constant((uint)immediate), 0);
            }
        }

        byte? exchanged = operation switch
        {
            OpCodes.Jlt => OpCodes.Jgt,
            OpCodes.Jle => OpCodes.Jge,
            OpCodes.Jslt => OpCodes.Jsgt,
            OpCodes.Jsle => OpCodes.Jsge,
            _ => null,
        };
        if (_function.IsaLevel < 2 && exchanged is { } other)
        {
            (operation, a, b, immediate) = (other, b == MachineInstruction.None ? Number(immediate) : b, a, 0);
        }

        return ((byte)(OpCodes.ClassJmp | operation), a, b, immediate);
    }

    private int Signed(int register)
    {
        var copy = _function.NewRegister();
        Copy(copy, register);
        SignExtend(copy);
        return copy;
    }

    private void SignExtend(int register)
    {
        Alu(OpCodes.Lsh, register, Half);
        Alu(OpCodes.Arsh, register, Half);
    }

    private void ClearUpper(int register)
    {
        Alu(OpCodes.Lsh, register, Half);
        Alu(OpCodes.Rsh, register, Half);
    }

    private int Number(long immediate)
    {
        var register = _function.NewRegister();
        Add(new MachineInstruction(MachineKind.Move) { Code = OpCodes.ClassAlu64 | OpCodes.Mov, Dst = register, Immediate = immediate });
        return register;
    }

    private int Constant(uint value)
    {
        var register = _function.NewRegister();
        Constant(register, value);
        return register;
    }

    private void Constant(int register, uint value) => Add(value <= int.MaxValue
        ? new MachineInstruction(MachineKind.Move) { Code = OpCodes.ClassAlu64 | OpCodes.Mov, Dst = register, Immediate = value }
        : new MachineInstruction(MachineKind.Wide) { Code = OpCodes.LoadImmediate64, Dst = register, Immediate = value });

    private void Copy(int dst, int src) =>
        Add(new MachineInstruction(MachineKind.Move) { Code = OpCodes.ClassAlu64 | OpCodes.Mov | OpCodes.SourceRegister, Dst = dst, Src = src });

    private void Alu(byte operation, int register, int immediate) =>
        Add(new MachineInstruction(MachineKind.Alu) { Code = (byte)(OpCodes.ClassAlu64 | operation), Dst = register, Immediate = immediate });

    private void Add(MachineInstruction instruction)
    {
        instruction.Position = _position;
        _code.Add(instruction);
    }
}
