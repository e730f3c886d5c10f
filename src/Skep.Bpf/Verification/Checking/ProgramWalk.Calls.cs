using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Verification.Checking;

/// <content>Calls of helpers, kernel functions and functions of the program.</content>
internal sealed partial class ProgramWalk
{
    private int CallAny(Instruction i)
    {
        switch (i.Src)
        {
            case 0:
                CallHelper(i.Immediate);
                return _slot + 1;
            case PseudoCall when _global.TryGetValue(_slot + 1 + i.Immediate, out var function):
                CallGlobal(function);
                return _slot + 1;
            case PseudoCall:
                return Enter(_slot + 1 + i.Immediate);
            default:
                // What a kernel function takes, and what it writes, is in the kernel's types.
                _state.ForgetStacks();
                ForgetArguments();
                Set(Register.R0, Value.Opaque);
                return _slot + 1;
        }
    }

    /// <summary>A function that the kernel verifies by itself: it is walked once, for whatever it may be given, and here it gives any number.</summary>
    private void CallGlobal(FunctionEntry function)
    {
        var parameters = function.Parameters ?? [];
        for (var p = 0; p < parameters.Count; p++)
        {
            // What it writes there is not followed.
            if (Used(Register.R1 + p).Kind == ValueKind.Stack)
            {
                _state.ForgetStacks();
            }
        }

        ForgetArguments();
        Set(Register.R0, Value.Of(Number.Unknown));
        if (!_begun.Add(function.Slot))
        {
            return;
        }

        var begin = new CheckState();
        begin.Frames.Add(new CheckFrame(EndOfFunction));
        begin.Top.Registers[Register.R10] = new Value(ValueKind.Stack);
        for (var p = 0; p < parameters.Count; p++)
        {
            begin.Top.Registers[Register.R1 + p] = parameters[p] switch
            {
                { Kind: FunctionParameterKind.Number } => Value.Of(Number.Unknown),
                { Kind: FunctionParameterKind.Context } => new Value(ValueKind.Context),
                { Size: > 0 } memory => new Value(ValueKind.Memory) { Size = memory.Size, MayBeNull = true, Id = NewId() },
                _ => Value.Opaque,
            };
        }

        _pending.Push((begin, function.Slot, null));
    }

    private int Enter(int target)
    {
        if (_state.Frames.Count == MostFrames)
        {
            throw new Violation(VerifierRule.Depth, "the call would be the ninth one deep");
        }

        var frame = new CheckFrame(_slot + 1);
        Array.Copy(_state.Top.Registers, Register.R1, frame.Registers, Register.R1, 5);
        frame.Registers[Register.R10] = new Value(ValueKind.Stack) { Frame = _state.Frames.Count };
        ForgetArguments();
        _state.Frames.Add(frame);
        return target;
    }

    private int Leave()
    {
        if (_state.Frames.Count > 1)
        {
            var leaving = _state.Top;
            _state.Frames.RemoveAt(_state.Frames.Count - 1);
            ForgetArguments();
            _state.Top.Registers[Register.R0] = leaving.Registers[Register.R0];
            return leaving.ReturnTo;
        }

        if (_state.Top.ReturnTo == EndOfFunction)
        {
            return -1;
        }

        if (_state.References.Count > 0)
        {
            throw new Violation(VerifierRule.Reference, "what was acquired on this path is not released at its end");
        }

        // The kernel's types tell which functions of a struct_ops give nothing.
        if (_spec.Type == ProgramType.StructOps)
        {
            return -1;
        }

        var result = Used(Register.R0);
        var isBounded = _spec.Type is ProgramType.CgroupSkb or ProgramType.CgroupSock or ProgramType.CgroupDevice or ProgramType.CgroupSysctl or ProgramType.CgroupSockAddr;
        if (isBounded && result.Kind == ValueKind.Number && result.Number.Low.UMax > 3)
        {
            throw new Violation(VerifierRule.Verdict, "this type of program gives 0 or 1", result, Register.R0);
        }

        return -1;
    }

    private void CallHelper(int helper)
    {
        if (!HelperPrototypes.MayExist(helper, _spec.Type))
        {
            throw new Violation(VerifierRule.Helper, $"there is no helper {HelperNames.Of(helper)}#{Invariant($"{helper}")} for programs of type {_spec.Type}");
        }

        var prototype = HelperPrototypes.Find(helper);
        var result = Value.Opaque;
        if (prototype is null)
        {
            _state.ForgetStacks();
        }
        else
        {
            var arguments = prototype.Arguments;
            for (var n = 0; n < arguments.Length; n++)
            {
                Check(arguments[n], n + 1, helper, n + 1 < arguments.Length ? arguments[n + 1] : ArgumentKind.Any);
            }

            result = ResultOf(prototype.Result);
        }

        if (HelperPrototypes.MovesPacket(helper))
        {
            _state.Replace(value => value.IsPacket || value.Kind == ValueKind.PacketEnd ? Value.Of(Number.Unknown) : value);
        }

        ForgetArguments();
        Set(Register.R0, result);
    }

    private Value ResultOf(ResultKind kind)
    {
        var first = _state.Top.Registers[Register.R1];
        switch (kind)
        {
            case ResultKind.Number:
                return Value.Of(Number.Unknown);
            case ResultKind.MapValue when first.Map is { Kind: MapKind.Hash or MapKind.Array or MapKind.PerCpuHash or MapKind.PerCpuArray or MapKind.LruHash or MapKind.LruPerCpuHash or MapKind.LpmTrie } map:
                var key = map.Kind is MapKind.Array or MapKind.PerCpuArray ? KeyOf() : null;
                return key is { Kind: ValueKind.Opaque } ? Value.Opaque : new Value(ValueKind.MapValue)
                {
                    Map = map,
                    Id = NewId(),
                    MayBeNull = key is not { Kind: ValueKind.Number, Number.IsConst: true } || key.Number.Value >= map.MaxEntries,
                };
            case ResultKind.Record when _state.Top.Registers[Register.R2] is { Kind: ValueKind.Number, Number.IsConst: true } size:
                var reference = NewId();
                _state.References.Add(reference);
                return new Value(ValueKind.Memory) { Size = (long)size.Number.Value, Id = NewId(), MayBeNull = true, Reference = reference };
            default:
                return Value.Opaque;
        }
    }

    // The newest kernels know that an array has the entry of a constant index.
    private Value KeyOf()
    {
        var pointer = _state.Top.Registers[Register.R2];
        var at = pointer.Offset + (long)pointer.Number.Value + StackSize;
        return pointer.Kind == ValueKind.Stack && pointer.Frame < _state.Frames.Count && pointer.Number.IsConst && at is >= 0 and <= StackSize - 4 && at % 4 == 0
            ? _state.Frames[pointer.Frame].Stack[at / 8].Read((int)at & 7, 4)
            : pointer.Kind == ValueKind.Stack ? Value.Opaque : Value.Of(Number.Unknown);
    }

    private void Check(ArgumentKind kind, int register, int helper, ArgumentKind next)
    {
        var value = Used(register);
        if (value.Kind == ValueKind.Opaque)
        {
            // What is released here is not known: it may be any of what was acquired.
            if (kind == ArgumentKind.Record)
            {
                _state.References.Clear();
            }

            return;
        }

        var map = _state.Top.Registers[Register.R1].Map;
        switch (kind)
        {
            case ArgumentKind.Context when value.Kind != ValueKind.Context:
                throw Wrong(register, value, "the context");
            case ArgumentKind.Map when value.Kind != ValueKind.Map:
                throw Wrong(register, value, "a map");
            case ArgumentKind.Map when (helper is 130 or 131) != (value.Map!.Kind == MapKind.RingBuffer) && helper is 130 or 131:
                throw new Violation(VerifierRule.MapKind, $"map '{value.Map.Name}' is not a ring buffer", value, register);
            case ArgumentKind.Key when map is { KeySize: 0 }:
                throw new Violation(VerifierRule.Local, $"map '{map.Name}' has no keys", value, register);
            case ArgumentKind.Key when map is not null:
                RequireMemory(value, register, map.KeySize, isWritten: false);
                break;
            case ArgumentKind.Value when map is not null:
                RequireMemory(value, register, map.ValueSize, isWritten: false);
                break;
            case ArgumentKind.Memory or ArgumentKind.Output:
                WithSize(kind, value, register, next);
                break;
            case ArgumentKind.Size or ArgumentKind.SizeOrZero or ArgumentKind.ConstantSize when value.Kind != ValueKind.Number:
                throw Wrong(register, value, "a number");
            case ArgumentKind.ConstantSize when !value.Number.IsConst:
                throw Wrong(register, value, "a constant");
            case ArgumentKind.Record:
                Release(value, register);
                break;
        }
    }

    private void WithSize(ArgumentKind kind, Value memory, int register, ArgumentKind sizeKind)
    {
        var size = Used(register + 1);
        if (size.Kind != ValueKind.Number)
        {
            return; // judged as the next argument
        }

        var bounds = size.Number.Wide;
        if (bounds.SMin < 0)
        {
            throw new Violation(VerifierRule.Memory, "the size may be negative", size, register + 1);
        }

        if (bounds.UMin == 0 && sizeKind == ArgumentKind.Size)
        {
            throw new Violation(VerifierRule.Local, "the size may be 0", size, register + 1);
        }

        if (bounds.UMax >= MostOffset)
        {
            throw new Violation(VerifierRule.Memory, "the size has no upper bound", size, register + 1);
        }

        if (bounds.UMax > 0)
        {
            RequireMemory(memory, register, (long)bounds.UMax, kind == ArgumentKind.Output);
        }
    }

    /// <summary>That all bytes exist, for a helper to read or write.</summary>
    private void RequireMemory(Value value, int register, long size, bool isWritten)
    {
        if (value.Kind is ValueKind.Number or ValueKind.Context or ValueKind.Map or ValueKind.PacketEnd || value.MayBeNull)
        {
            throw Wrong(register, value, "memory");
        }

        switch (value.Kind)
        {
            case ValueKind.Packet or ValueKind.PacketMeta:
                RequireInPacket(value, register, 0, size);
                break;
            case ValueKind.MapValue:
                RequireInside(value, register, 0, size, value.Map!.ValueSize, $"a value of map '{value.Map.Name}'");
                break;
            case ValueKind.Memory:
                RequireInside(value, register, 0, size, value.Size, "memory");
                break;
            case ValueKind.Stack when value.Frame < _state.Frames.Count:
                if (value.Number.IsConst && value.Offset + (long)value.Number.Value >= -StackSize && value.Offset + (long)value.Number.Value + size > 0)
                {
                    throw new Violation(VerifierRule.Local, Invariant($"{size} bytes do not fit above this address"), value, register);
                }

                RequireInStack(value, register, 0, size);
                if (isWritten)
                {
                    var first = value.Offset + StackSize;
                    Forget(_state.Frames[value.Frame], (int)(first + value.Number.Wide.SMin), (int)(first + value.Number.Wide.SMax + size));
                }

                break;
        }
    }

    private void Release(Value value, int register)
    {
        if (value is not { Kind: ValueKind.Memory, Reference: not 0, MayBeNull: false, Offset: 0 })
        {
            throw Wrong(register, value, "a record that was reserved");
        }

        _state.References.Remove(value.Reference);
        _state.Replace(other => other.Reference == value.Reference ? Value.Of(Number.Unknown) : other);
    }

    private static Violation Wrong(int register, Value value, string expected) =>
        new(VerifierRule.Argument, Invariant($"R{register} is not {expected}"), value, register);
}
