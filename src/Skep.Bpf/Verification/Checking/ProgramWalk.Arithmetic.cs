using Skep.Bpf.Asm;
using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Verification.Checking;

/// <content>Arithmetic on numbers and pointers.</content>
internal sealed partial class ProgramWalk
{
    private const long MostOffset = 1 << 29; // BPF_MAX_VAR_OFF

    private void Compute(Instruction i)
    {
        var operation = i.Code & 0xf0;
        var wide = i.Class == ClassAlu64;
        var fromRegister = (i.Code & SourceRegister) != 0;
        if (operation == End)
        {
            Used(i.Dst);
            Set(i.Dst, Value.Of(NumberMath.Swap(i.Immediate)));
            return;
        }

        if (!fromRegister && operation is Lsh or Rsh or Arsh && (uint)i.Immediate >= (wide ? 64 : 32))
        {
            throw new Violation(VerifierRule.Encoding, Invariant($"a shift by {i.Immediate} is beyond the width of the register"));
        }

        if (!fromRegister && operation is Div or Mod && i.Immediate == 0)
        {
            throw new Violation(VerifierRule.Encoding, "a division by the constant 0");
        }

        var source = operation == Neg ? Value.Const(0) : fromRegister ? Used(i.Src) : Value.Const((ulong)i.Immediate);
        if (operation == Mov)
        {
            Move(i, source, wide, fromRegister);
            return;
        }

        var target = Used(i.Dst);
        if (target.Kind == ValueKind.Opaque || source.Kind == ValueKind.Opaque)
        {
            Set(i.Dst, Value.Opaque);
        }
        else if (target.IsPointer || source.IsPointer)
        {
            Set(i.Dst, OnPointers(i, operation, wide, target, source));
        }
        else
        {
            var result = Value.Of(NumberMath.Compute(operation, i.Offset, wide, target.Number, source.Number));
            if (wide && operation == Add && target.Id != 0 && source.Number.IsConst)
            {
                result = result with { Id = target.Id, Delta = target.Delta + source.Number.Value };
            }

            _state.Computed += result.Number.IsConst ? 0 : 1;
            Set(i.Dst, result);
        }
    }

    private void Move(Instruction i, Value source, bool wide, bool fromRegister)
    {
        if (source.Kind == ValueKind.Opaque || (i.Offset == AddressSpaceCast && wide && fromRegister))
        {
            Set(i.Dst, Value.Opaque);
            return;
        }

        if (wide && i.Offset == 0)
        {
            Set(i.Dst, fromRegister ? Named(i.Src) : source);
            return;
        }

        Set(i.Dst, Value.Of(source.IsPointer ? Number.OfSize(wide ? 8 : 4) : NumberMath.Compute(Mov, i.Offset, wide, source.Number, source.Number)) with
        {
            // A number that fits 32 bits is the same afterwards.
            Id = !wide && i.Offset == 0 && source.Number.Wide.UMax <= uint.MaxValue ? source.Id : 0,
            Delta = source.Delta,
        });
    }

    private Value OnPointers(Instruction i, int operation, bool wide, Value target, Value source)
    {
        if (operation == Neg || (target.IsPointer && source.IsPointer && operation == Sub) || (!wide && operation == Sub))
        {
            return Value.Of(wide ? Number.Unknown : Number.OfSize(4)); // root may see addresses
        }

        if (target.IsPointer && source.IsPointer)
        {
            throw new Violation(VerifierRule.Pointer, "two pointers cannot be added", target, i.Dst);
        }

        var (pointer, number, register) = target.IsPointer ? (target, source.Number, i.Dst) : (source, target.Number, i.Src);
        if (operation is not (Add or Sub) || !wide || (operation == Sub && !target.IsPointer))
        {
            throw new Violation(VerifierRule.Pointer, "pointers can only be added to and subtracted from, in 64 bits", pointer, register);
        }

        if (pointer.MayBeNull)
        {
            throw new Violation(VerifierRule.Null, "what may be null cannot be computed with", pointer, register);
        }

        if (pointer.Kind == ValueKind.PacketEnd)
        {
            throw new Violation(VerifierRule.Pointer, "the end of the packet can only be compared with", pointer, register);
        }

        RequireSane(number, pointer, register);
        if (number.IsConst)
        {
            var distance = operation == Add ? (long)number.Value : -(long)number.Value;
            return pointer with { Offset = pointer.Offset + distance };
        }

        var moved = pointer with { Number = NumberMath.Compute(operation, 0, true, pointer.Number, number) };
        return pointer.IsPacket ? moved with { Id = NewId(), Range = 0 } : moved;
    }

    private static void RequireSane(Number number, Value pointer, int register)
    {
        if (number.IsConst ? (long)number.Value is >= MostOffset or <= -MostOffset : number.Wide.SMin is >= MostOffset or <= -MostOffset)
        {
            throw new Violation(VerifierRule.Unbounded, "the number that is added to the pointer has no bounds that keep it near", pointer, register);
        }
    }

    private static Value Extended(Value loaded, Instruction i) =>
        (i.Code & 0xe0) != ModeMemSx || loaded.Kind == ValueKind.Opaque ? loaded
        : Value.Of((loaded.IsPointer ? Number.OfSize(SizeOf(i)) : loaded.Number).SignExtended(SizeOf(i), true));
}
