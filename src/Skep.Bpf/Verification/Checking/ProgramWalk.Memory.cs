using System.Buffers.Binary;
using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Verification.Checking;

/// <content>Loads and stores.</content>
internal sealed partial class ProgramWalk
{
    private const int MostPacket = 0xffff; // MAX_PACKET_OFF
    private const int PacketContext = 192; // sizeof(struct __sk_buff)

    /// <summary>A load of <paramref name="size"/> bytes, or a store where a value is given.</summary>
    private Value Access(Value address, int register, long offset, int size, Value? stored)
    {
        if (address.Kind == ValueKind.Number)
        {
            throw new Violation(VerifierRule.Number, "a number is no address", address, register);
        }

        if (address.MayBeNull)
        {
            throw new Violation(VerifierRule.Null, "this may be null", address, register);
        }

        switch (address.Kind)
        {
            case ValueKind.Context:
                return OnContext(address, register, offset, size, stored);
            case ValueKind.Packet or ValueKind.PacketMeta:
                RequireInPacket(address, register, offset, size);
                return Value.Of(Number.OfSize(size));
            case ValueKind.PacketEnd:
                throw new Violation(VerifierRule.Other, "there is nothing behind the end of the packet", address, register);
            case ValueKind.Map:
                return stored is null ? Value.Opaque : throw new Violation(VerifierRule.ReadOnly, "a map itself cannot be written", address, register);
            case ValueKind.MapValue:
                return OnMapValue(address, register, offset, size, stored);
            case ValueKind.Memory:
                RequireInside(address, register, offset, size, address.Size, "memory");
                return Value.Of(Number.OfSize(size));
            case ValueKind.Stack when address.Frame < _state.Frames.Count:
                return OnStack(address, register, offset, size, stored);
            default:
                return Value.Opaque;
        }
    }

    private Value OnContext(Value address, int register, long offset, int size, Value? stored)
    {
        if (!address.Number.IsConst)
        {
            throw new Violation(VerifierRule.Context, "the context can be accessed at constant offsets only", address, register);
        }

        var at = address.Offset + (long)address.Number.Value + offset;
        switch (_spec.Type)
        {
            case ProgramType.Xdp:
                if (size != 4 || at % 4 != 0 || at is < 0 or >= 24 || stored is not null)
                {
                    throw new Violation(VerifierRule.Context, Invariant($"the context has no field of {size} bytes at offset {at} that can be {(stored is null ? "read" : "written")}"), address, register);
                }

                return at switch
                {
                    0 => new Value(ValueKind.Packet),
                    4 => new Value(ValueKind.PacketEnd),
                    8 => new Value(ValueKind.PacketMeta),
                    _ => Value.Of(Number.OfSize(4)),
                };
            case ProgramType.SchedCls or ProgramType.SchedAct:
                if (at < 0 || at + size > PacketContext || at % size != 0)
                {
                    throw new Violation(VerifierRule.Context, Invariant($"the context has no field of {size} bytes at offset {at}"), address, register);
                }

                return (at, size, stored) switch
                {
                    (76, 4, null) => new Value(ValueKind.Packet),
                    (80, 4, null) => new Value(ValueKind.PacketEnd),
                    (140, 4, null) => new Value(ValueKind.PacketMeta),
                    (_, <= 4, null) => Value.Of(Number.OfSize(size)),
                    _ => Value.Opaque,
                };
            default:
                return Value.Opaque;
        }
    }

    private static void RequireInPacket(Value address, int register, long offset, long size)
    {
        if (address.Number.Wide.SMin < 0)
        {
            throw new Violation(VerifierRule.Memory, "the offset into the packet may be negative", address, register);
        }

        var first = address.Offset + offset;
        if (first < 0 || first + size > address.Range)
        {
            throw new Violation(
                VerifierRule.Packet,
                Invariant($"{size} bytes at offset {first} are accessed, and no comparison with the end of the packet shows that they exist"),
                address, register);
        }
    }

    private Value OnMapValue(Value address, int register, long offset, int size, Value? stored)
    {
        var map = address.Map!;
        RequireInside(address, register, offset, size, map.ValueSize, $"a value of map '{map.Name}'");
        if (stored is not null && map.Flags.HasFlag(MapFlags.ReadOnlyForPrograms))
        {
            throw new Violation(VerifierRule.ReadOnly, $"programs may only read map '{map.Name}'", address, register);
        }

        // The verifier reads constants that cannot change any more.
        if (stored is null && map is UntypedMap { IsConstant: true } constant && address.Number.IsConst)
        {
            var at = address.Offset + (long)address.Number.Value + offset;
            var bytes = new byte[8];
            if (at + size <= constant.InitialValue.Length)
            {
                constant.InitialValue.Span.Slice((int)at, size).CopyTo(bytes);
                return Value.Const(BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            }

            return Value.Opaque;
        }

        // Pointers that are kept in values, and constants of frozen maps, are the kernel's to know; not which of several is read.
        var isPlain = map.ValueType.IsPrimitive || size < 8;
        var mayBeKnown = map.Flags.HasFlag(MapFlags.ReadOnlyForPrograms) && address.Number.IsConst;
        return stored is null && isPlain && !mayBeKnown ? Value.Of(Number.OfSize(size)) : Value.Opaque;
    }

    private static void RequireInside(Value address, int register, long offset, long size, long length, string what)
    {
        var (low, high) = (address.Number.Wide.SMin, address.Number.Wide.UMax);
        var first = address.Offset + offset;
        if (low < 0 && (low <= -MostOffset || low + first < 0))
        {
            throw new Violation(VerifierRule.Memory, $"the index may be negative, and would leave {what}", address, register);
        }

        if (first + low < 0 || high >= MostOffset || first + (long)high + size > length)
        {
            throw new Violation(
                VerifierRule.Memory, Invariant($"{size} bytes from offset {first}{(high > 0 ? " on, with an index up to " + Invariant($"{high}") + "," : "")} do not lie in {what}, which has {length} bytes"), address, register);
        }
    }

    private Value OnStack(Value address, int register, long offset, int size, Value? stored)
    {
        RequireInStack(address, register, offset, size);
        var first = address.Offset + offset;
        var frame = _state.Frames[address.Frame];
        if (address.Number.IsConst)
        {
            var at = (int)(first + (long)address.Number.Value) + StackSize;
            var inPlace = (at & 7) + size <= 8;
            ref var place = ref frame.Stack[at / 8];
            if (stored is null)
            {
                return inPlace ? place.Read(at & 7, size) : Value.Opaque;
            }

            if (inPlace)
            {
                place = place.Write(at & 7, size, stored);
            }
            else
            {
                Forget(frame, at, at + size);
            }

            return Value.Opaque;
        }

        if (stored is not null)
        {
            Forget(frame, (int)(first + address.Number.Wide.SMin) + StackSize, (int)(first + address.Number.Wide.SMax) + StackSize + size);
        }

        return Value.Opaque;
    }

    private static void RequireInStack(Value address, int register, long offset, long size)
    {
        var first = address.Offset + offset;
        var (low, high) = (address.Number.Wide.SMin, address.Number.Wide.SMax);
        if (low <= -MostOffset || high >= MostOffset || first + low < -StackSize || first + high + size > 0)
        {
            throw new Violation(
                address.Number.IsConst && first + low < -StackSize ? VerifierRule.StackSize : VerifierRule.Local,
                Invariant($"{size} bytes at offset {first + low}{(low == high ? "" : Invariant($" to {first + high}"))} of the stack are accessed, which has the bytes from -512 to -1"),
                address, register);
        }
    }

    private static void Forget(CheckFrame frame, int from, int to)
    {
        for (var place = Math.Max(0, from / 8); place <= Math.Min(CheckFrame.Places - 1, (to - 1) / 8); place++)
        {
            frame.Stack[place] = new StackPlace(Value.Opaque, null, null);
        }
    }

    private void Atomic(Instruction i)
    {
        var size = SizeOf(i);
        if (i.Immediate == AtomicLoadAcquire)
        {
            Set(i.Dst, Access(Used(i.Src), i.Src, i.Offset, size, null));
            return;
        }

        var address = Used(i.Dst);
        var operand = Used(i.Src);
        if (address.Kind is ValueKind.Context or ValueKind.Packet or ValueKind.PacketMeta)
        {
            throw new Violation(VerifierRule.Atomic, "atomic operations do not work on this memory", address, i.Dst);
        }

        if (i.Immediate == AtomicStoreRelease)
        {
            Access(address, i.Dst, i.Offset, size, operand);
            return;
        }

        if (i.Immediate == AtomicCmpXchg)
        {
            Used(Register.R0);
        }

        Access(address, i.Dst, i.Offset, size, Value.Opaque);
        if (i.Immediate == AtomicCmpXchg)
        {
            Set(Register.R0, Value.Of(Number.OfSize(size)));
        }
        else if ((i.Immediate & AtomicFetch) != 0)
        {
            Set(i.Src, Value.Of(Number.OfSize(size)));
        }
    }
}
