using Skep.Bpf.Asm;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Frontend;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>Resolves jumps and writes the final instructions.</summary>
internal sealed class Emitter
{
    private readonly MachineFunction _function;
    private readonly List<Instruction> _code = [];
    private readonly List<MapReference> _maps = [];
    private readonly List<SourceLine> _lines = [];
    private readonly List<KernelFunctionReference> _kernelFunctions = [];
    private readonly List<(int Slot, Function Target)> _references = [];
    private readonly Dictionary<MachineBlock, int> _starts = [];
    private readonly List<(int Slot, MachineBlock Target, SourcePosition Position)> _jumps = [];

    private Emitter(MachineFunction function) => _function = function;

    public static FunctionCode Run(MachineFunction function)
    {
        var emitter = new Emitter(function);
        emitter.Write();
        return new FunctionCode(emitter._code, emitter._maps, emitter._lines, emitter._kernelFunctions, emitter._references);
    }

    private void Write()
    {
        var order = BlockOrder.Of(_function);
        for (var i = 0; i < order.Count; i++)
        {
            _starts[order[i]] = _code.Count;
            WriteBlock(order[i], i + 1 < order.Count ? order[i + 1] : null);
        }

        foreach (var (slot, target, position) in _jumps)
        {
            var distance = _starts[target] - slot - 1;
            if (distance is < short.MinValue or > short.MaxValue)
            {
                throw new CompileException(Rule.TooLarge, $"a jump over {distance} instructions; the program is too large, split it", position);
            }

            _code[slot] = _code[slot] with { Offset = (short)distance };
        }
    }

    private void WriteBlock(MachineBlock block, MachineBlock? next)
    {
        var code = block.Code;
        if (code.Count > 1 && code[^1].Kind == MachineKind.Jump && code[^2] is { Kind: MachineKind.JumpIf, IsFixed: false } branch && branch.Target == next && code[^1].Target != next
            && BlockOrder.Inverse(_function, branch.Code) is { } inverse)
        {
            branch.Code = inverse;
            (branch.Target, code[^1].Target) = (code[^1].Target, branch.Target);
        }

        for (var i = 0; i < code.Count; i++)
        {
            if (i == code.Count - 1 && code[i].Kind == MachineKind.Jump && code[i].Target == next)
            {
                continue;
            }

            Write(code[i]);
        }
    }

    private void Write(MachineInstruction instruction)
    {
        Note(instruction.Position);
        var dst = (byte)Math.Max(0, instruction.Dst);
        var src = (byte)Math.Max(0, instruction.Src);
        var offset = instruction.Slot is { } slot && instruction.Kind != MachineKind.StackAddress
            ? checked((short)(_function.Frame[slot] + instruction.Offset))
            : instruction.Offset;
        switch (instruction.Kind)
        {
            case MachineKind.Wide:
                if (instruction.Function is { } callback)
                {
                    _references.Add((_code.Count, callback));
                    _code.Add(new Instruction(instruction.Code, dst, OpCodes.PseudoFunction, 0, 0));
                    _code.Add(default);
                }
                else if (instruction.Map is { } map)
                {
                    _maps.Add(new MapReference(_code.Count, map, instruction.IsMapValue ? (uint)instruction.Immediate : null));
                    _code.Add(new Instruction(instruction.Code, dst, 0, 0, 0));
                    _code.Add(default);
                }
                else
                {
                    _code.Add(new Instruction(instruction.Code, dst, 0, 0, (int)instruction.Immediate));
                    _code.Add(new Instruction(0, 0, 0, 0, (int)(instruction.Immediate >> 32)));
                }

                break;
            case MachineKind.StackAddress:
                _code.Add(new Instruction(OpCodes.ClassAlu64 | OpCodes.Mov | OpCodes.SourceRegister, dst, 10, 0, 0));
                _code.Add(new Instruction(OpCodes.ClassAlu64 | OpCodes.Add, dst, 0, 0, _function.Frame[instruction.Slot!] + (int)instruction.Immediate));
                break;
            case MachineKind.Set:
                _code.Add(new Instruction(OpCodes.ClassAlu64 | OpCodes.Mov, dst, 0, 0, 1));
                _code.Add(instruction.Src2 == MachineInstruction.None
                    ? new Instruction(instruction.Code, src, 0, 1, (int)instruction.Immediate)
                    : new Instruction((byte)(instruction.Code | OpCodes.SourceRegister), src, (byte)instruction.Src2, 1, 0));
                _code.Add(new Instruction(OpCodes.ClassAlu64 | OpCodes.Mov, dst, 0, 0, 0));
                break;
            case MachineKind.Call when instruction.Function is { } target:
                _references.Add((_code.Count, target));
                _code.Add(new Instruction(instruction.Code, 0, OpCodes.PseudoCall, 0, 0));
                break;
            case MachineKind.Jump:
                _jumps.Add((_code.Count, instruction.Target!, instruction.Position));
                _code.Add(new Instruction(OpCodes.ClassJmp | OpCodes.Ja, 0, 0, 0, 0));
                break;
            case MachineKind.JumpIf:
                _jumps.Add((_code.Count, instruction.Target!, instruction.Position));
                _code.Add(new Instruction(instruction.Code, dst, src, 0, (int)instruction.Immediate));
                break;
            default:
                if (instruction.KernelFunction is { } name)
                {
                    _kernelFunctions.Add(new KernelFunctionReference(_code.Count, name));
                }

                _code.Add(new Instruction(instruction.Code, dst, src, offset, (int)instruction.Immediate));
                break;
        }
    }

    private void Note(SourcePosition position)
    {
        if (position.Line == 0)
        {
            return;
        }

        if (_lines.Count > 0 && _lines[^1].Slot == _code.Count)
        {
            _lines.RemoveAt(_lines.Count - 1);
        }

        if (_lines.Count == 0 || _lines[^1].Line != position.Line || _lines[^1].File != position.File)
        {
            _lines.Add(new SourceLine(_code.Count, position.File, position.Line, position.Column, SourceMap.LineText(position)));
        }
    }
}
