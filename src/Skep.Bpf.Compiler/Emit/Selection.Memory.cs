using Skep.Bpf.Asm;
using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>Stores and atomic operations.</summary>
internal sealed partial class Selection
{
    private void SelectStore(Node node)
    {
        var (address, slot, displacement) = Address(node);
        var value = DropMask(node.Operands[1], node.Size);
        if (value.IsConstant && (node.Size < 8 || value.Immediate is >= int.MinValue and <= int.MaxValue))
        {
            Emit(new MachineInstruction(MachineKind.Store)
            {
                Code = (byte)(OpCodes.ClassSt | OpCodes.ModeMem | SizeCode(node.Size)), Dst = address, Slot = slot, Offset = displacement,
                Immediate = node.Size switch { 1 => (sbyte)value.Immediate, 2 => (short)value.Immediate, _ => (int)value.Immediate },
            });
            return;
        }

        Emit(new MachineInstruction(MachineKind.Store)
        {
            Code = (byte)(OpCodes.ClassStx | OpCodes.ModeMem | SizeCode(node.Size)), Dst = address, Src = Use(value), Slot = slot, Offset = displacement,
        });
    }

    private void SelectAtomic(Node node)
    {
        var (address, slot, displacement) = Address(node);
        var operation = (int)node.Payload!;
        var used = _uses.ContainsKey(node);
        var size = SizeCode(node.Size);
        var code = (byte)(OpCodes.ClassStx | OpCodes.ModeAtomic | size);
        if (_target.IsaLevel < 3 && (used || operation is not (OpCodes.AtomicAdd | OpCodes.AtomicFetch)))
        {
            throw new CompileException(
                Rule.InstructionSet,
                $"instruction set v{_target.IsaLevel} has no atomic operation but an addition whose result is not used; count with Interlocked.Add and leave its result, "
                + "keep a value per CPU, or compile for v3 (kernel 5.12)", node.Position);
        }

        if (operation == OpCodes.AtomicCmpXchg)
        {
            var replacement = Use(node.Operands[1]);
            Materialize(node.Operands[2], 0);
            Emit(new MachineInstruction(MachineKind.Atomic) { Code = code, Dst = address, Src = replacement, Slot = slot, Offset = displacement, Immediate = operation });
            if (used)
            {
                Move(Define(node), 0);
            }

            return;
        }

        // Without a reader of the old value the plain form is enough, and older than ISA v3.
        if (!used && operation != OpCodes.AtomicXchg)
        {
            Emit(new MachineInstruction(MachineKind.Atomic)
            {
                Code = code, Dst = address, Src = Use(node.Operands[1]), Slot = slot, Offset = displacement, Immediate = operation & ~OpCodes.AtomicFetch,
            });
            return;
        }

        var register = Define(node);
        Materialize(node.Operands[1], register);
        Emit(new MachineInstruction(MachineKind.Atomic) { Code = code, Dst = address, Src = register, Slot = slot, Offset = displacement, Immediate = operation });
    }
}
