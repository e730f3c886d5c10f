using Skep.Bpf.Asm;
using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Compiler.Passes;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>
/// Chooses instructions. Constants, stack addresses and map references are made where they are used, never kept in registers;
/// address sums with a constant go into the displacement; 32-bit values are always zero-extended, so widening is free.
/// </summary>
internal sealed partial class Selection
{
    private readonly Function _function;
    private readonly CompileTarget _target;
    private readonly MachineFunction _machine;
    private readonly Dictionary<Node, int> _registers = [];
    private readonly Dictionary<Block, MachineBlock> _blocks = [];
    private readonly Dictionary<Node, int> _uses;
    private readonly HashSet<Node> _folded = [];
    private readonly Ranges? _ranges;
    private MachineBlock _current = null!;
    private SourcePosition _position;

    private Selection(Function function, CompileTarget target)
    {
        _function = function;
        _target = target;
        _uses = function.CountUses();
        _machine = new MachineFunction { IsaLevel = target.IsaLevel };
        _ranges = target.IsaLevel < 3 ? new Ranges(function) : null;
    }

    public static MachineFunction Run(Function function, CompileTarget target) => new Selection(function, target).Run();

    private MachineFunction Run()
    {
        Loops.Annotate(_function);
        FindLoops();
        FindFolded();
        FindHalves();
        _machine.Vague.UnionWith(VagueSlots.Find(_function));
        foreach (var block in _function.Blocks)
        {
            var machine = new MachineBlock(_machine.Blocks.Count) { LoopDepth = block.LoopDepth };
            _blocks.Add(block, machine);
            _machine.Blocks.Add(machine);
        }

        foreach (var block in _function.Blocks)
        {
            foreach (var phi in block.Phis)
            {
                _registers[phi] = _machine.NewRegister();
            }
        }

        _current = _blocks[_function.Entry];
        foreach (var parameter in _function.Parameters.Where(_uses.ContainsKey))
        {
            _registers[parameter] = _machine.NewRegister();
            Move(_registers[parameter], 1 + (int)parameter.Immediate);
        }

        if (_uses.ContainsKey(_function.Context))
        {
            _registers[_function.Context] = _machine.NewRegister();
            Move(_registers[_function.Context], 1);
        }

        foreach (var block in _function.Blocks)
        {
            _current = _blocks[block];
            _block = block;
            foreach (var node in block.Nodes)
            {
                _position = node.Position;
                if (node.IsTerminator)
                {
                    MakeLoopConstants(block);
                }

                if (node.Op != Op.Phi && !_folded.Contains(node))
                {
                    Select(node);
                    ClearAbove(node);
                }
            }
        }

        return _machine;
    }

    /// <summary>Sums that are only used as addresses, and extensions and masks that their users do not need.</summary>
    private void FindFolded()
    {
        var needed = new HashSet<Node>();
        foreach (var block in _function.Blocks)
        {
            foreach (var node in block.Nodes)
            {
                for (var i = 0; i < node.Operands.Count; i++)
                {
                    var operand = node.Operands[i];
                    var free = node.Op switch
                    {
                        Op.Load or Op.Store or Op.Atomic when i == 0 => false,
                        Op.Store when i == 1 => DropMask(operand, node.Size) != operand,
                        Op.Call => Aliasing.BaseOf(operand).Op == Op.Alloca,
                        Op.Branch => operand == TestedBits(node) || IsFreeTruncation(operand),
                        Op.Compare => IsFreeTruncation(operand),
                        _ => false,
                    };
                    if (!free)
                    {
                        needed.Add(operand);
                    }
                }
            }
        }

        foreach (var block in _function.Blocks)
        {
            foreach (var node in block.Nodes)
            {
                if (!needed.Contains(node) && !node.HasEffect && node.Op != Op.Load)
                {
                    _folded.Add(node);
                }
            }
        }
    }

    /// <summary>A truncation that only one comparison needs: the comparison is of 32 bits instead.</summary>
    private bool IsFreeTruncation(Node value) => value.Op == Op.Truncate && _target.IsaLevel >= 3 && _uses[value] == 1;

    /// <summary>The conjunction whose bits a branch tests for being all zero, when nothing else needs it: there is a jump for that.</summary>
    private Node? TestedBits(Node branch) => branch.Operands[0] is { Op: Op.And } and && _uses[and] == 1 && !LeavesWhenSet(branch)
        && branch.Condition is Condition.Equal or Condition.NotEqual && branch.Operands[1].IsConstantValue(0)
        && (!and.Operands[1].IsConstant || and.Operands[1].Immediate is >= 0 and <= int.MaxValue) && and.Type != IrType.Pointer ? and : null;

    /// <summary>The value whose low bytes are those of <paramref name="value"/>: what a store of <paramref name="size"/> bytes may take instead.</summary>
    private static Node DropMask(Node value, int size)
    {
        while (true)
        {
            var next = value.Op switch
            {
                Op.And when value.Operands[1].IsConstant && size < 4 && (~value.Operands[1].Immediate & ((1L << (size * 8)) - 1)) == 0 => value.Operands[0],
                Op.Truncate when size <= 4 => value.Operands[0],
                _ => null,
            };
            if (next is null)
            {
                return value;
            }

            value = next;
        }
    }

    private void Select(Node node)
    {
        switch (node.Op)
        {
            case Op.Load:
            {
                var (address, slot, displacement) = Address(node);
                Emit(new MachineInstruction(MachineKind.Load)
                {
                    Code = (byte)(OpCodes.ClassLdx | OpCodes.ModeMem | SizeCode(node.Size)), Dst = Define(node), Src = address, Slot = slot, Offset = displacement,
                });
                break;
            }

            case Op.Store:
                SelectStore(node);
                break;
            case Op.Atomic:
                SelectAtomic(node);
                break;
            case Op.Negate:
                Unary(node, (byte)(AluClass(node.Type) | OpCodes.Neg), 0);
                break;
            case Op.ByteSwap:
                // BPF_END with the "to big endian" bit is a swap on the little-endian hosts Skep supports; it clears the bits above.
                Unary(node, OpCodes.ClassAlu | OpCodes.End | OpCodes.SourceRegister, node.Immediate);
                break;
            case Op.ZeroExtend:
                Move(Define(node), Use(node.Operands[0]));
                break;
            case Op.Truncate:
                MoveHalf(Define(node), Use(node.Operands[0]));
                break;
            case Op.SignExtend:
                SelectSignExtend(node);
                break;
            case Op.ArenaCast:
                Emit(new MachineInstruction(MachineKind.Move)
                {
                    Code = OpCodes.ClassAlu64 | OpCodes.Mov | OpCodes.SourceRegister, Dst = Define(node), Src = Use(node.Operands[0]), Offset = OpCodes.AddressSpaceCast, Immediate = 1,
                });
                break;
            case Op.Forget:
                SelectForget(node);
                break;
            case Op.Compare:
            {
                var (code, a, b, immediate) = Comparison(node);
                Emit(new MachineInstruction(MachineKind.Set) { Code = code, Dst = Define(node), Src = a, Src2 = b, Immediate = immediate });
                break;
            }

            case Op.Call:
                SelectCall(node);
                break;
            case Op.Jump:
                Copies(node.Block!, node.Targets[0]);
                GoTo(node.Targets[0]);
                break;
            case Op.Branch:
                SelectBranch(node);
                break;
            case Op.Switch:
                SelectSwitch(node);
                break;
            case Op.MayLoop:
                SelectMayLoop(node);
                break;
            case Op.Return:
                Materialize(node.Operands[0], 0);
                Emit(new MachineInstruction(MachineKind.Exit) { Code = OpCodes.ExitInstruction });
                break;
            case Op.Trap:
                var (rule, message) = ((string, string))node.Payload!;
                throw new CompileException(rule, message, node.Position);
            case Op.DivideSigned or Op.RemainderSigned:
                // ISA v4 only; earlier ones were lowered before.
                Binary(node, (byte)((node.Op == Op.DivideSigned ? OpCodes.Div : OpCodes.Mod) | AluClass(node.Type)), 1);
                break;
            default:
                Binary(node, (byte)(AluCode(node.Op) | AluClass(node.Type)), 0);
                CheckPaths(node);
                break;
        }
    }

    private void Binary(Node node, byte code, short offset)
    {
        var (a, b) = (node.Operands[0], node.Operands[1]);

        // The operand that dies here is better overwritten.
        if (node.Op is Op.Add or Op.Multiply or Op.And or Op.Or or Op.Xor && node.Type != IrType.Pointer && !b.IsConstant && b.Op != Op.Phi
            && _uses.GetValueOrDefault(b) == 1 && _uses.GetValueOrDefault(a) > 1)
        {
            (a, b) = (b, a);
        }

        var (register, immediate) = Operand(b, node.Type);
        var dst = Define(node);
        Materialize(a, dst);
        Emit(new MachineInstruction(MachineKind.Alu)
        {
            Code = (byte)(code | (register == MachineInstruction.None ? OpCodes.SourceImmediate : OpCodes.SourceRegister)),
            Dst = dst,
            Src = register,
            Offset = offset,
            Immediate = immediate,
            StaysInHalf = StaysInHalf(node),
        });
    }

    /// <summary>Asked only below level 3, where 32-bit arithmetic is made of 64-bit arithmetic: the verifier keeps the bounds of what need not be cut off.</summary>
    private bool StaysInHalf(Node node) => _ranges is not null && node.Op is Op.Add or Op.Subtract && node.Type == IrType.I32
        && IsNonNegative(node, node.Block!) && IsNonNegative(node.Operands[0], node.Block!)
        && (IsNonNegative(node.Operands[1], node.Block!) || (node.Op == Op.Add && node.Operands[1].IsConstant));

    private bool IsNonNegative(Node node, Block block) => _ranges!.Of(node, block).Low >= 0;

    private void Unary(Node node, byte code, long immediate)
    {
        var dst = Define(node);
        Materialize(node.Operands[0], dst);
        Emit(new MachineInstruction(MachineKind.Unary) { Code = code, Dst = dst, Immediate = immediate });
    }

    private void SelectSignExtend(Node node)
    {
        var dst = Define(node);
        var source = Use(node.Operands[0]);
        var wide = node.Type != IrType.I32;
        var aluClass = AluClass(node.Type);
        if (_target.IsaLevel >= 4)
        {
            Emit(new MachineInstruction(MachineKind.Move)
            {
                Code = (byte)(aluClass | OpCodes.Mov | OpCodes.SourceRegister), Dst = dst, Src = source, Offset = (short)node.Immediate,
            });
            return;
        }

        var shift = (wide ? 64 : 32) - node.Immediate;
        Move(dst, source);
        Emit(new MachineInstruction(MachineKind.Alu) { Code = (byte)(aluClass | OpCodes.Lsh), Dst = dst, Immediate = shift });
        Emit(new MachineInstruction(MachineKind.Alu) { Code = (byte)(aluClass | OpCodes.Arsh), Dst = dst, Immediate = shift });
    }

    private void SelectCall(Node node)
    {
        var call = (HelperCall)node.Payload!;
        var count = call.IsTailCall ? node.Operands.Count - 1 : node.Operands.Count;
        for (var i = 0; i < count; i++)
        {
            Materialize(node.Operands[i], i + 1);
        }

        Emit(new MachineInstruction(MachineKind.Call)
        {
            Code = OpCodes.CallInstruction, Immediate = node.Immediate, Arguments = count, Function = call.Target,
            Src = call.IsKernelFunction ? OpCodes.PseudoKfunc : MachineInstruction.None,
            KernelFunction = call.IsKernelFunction ? call.KernelName : null,
            Slots = [.. node.Operands.Select(Aliasing.BaseOf).Where(static o => o.Op == Op.Alloca)],
        });
        for (var i = 0; i < count; i++)
        {
            if (call.Arguments[i].Keeps && Aliasing.BaseOf(node.Operands[i]) is { Op: Op.Alloca } slot)
            {
                _machine.Pinned.Add(slot);
            }
        }

        if (call.IsTailCall)
        {
            Materialize(node.Operands[^1], Define(node));
        }
        else if (_uses.ContainsKey(node))
        {
            Move(Define(node), 0);
        }
    }

    private int RegisterOf(Node node) => _registers.GetValueOrDefault(node, MachineInstruction.None);

    private (byte Code, int A, int B, long Immediate) Comparison(Node node)
    {
        var (a, b) = (node.Operands[0], node.Operands[1]);
        var condition = node.Condition;

        // Addresses and unsigned 32-bit values compare in 64 bits: the verifier keeps better bounds, and the values are zero-extended.
        var truncated = IsFreeTruncation(a) || IsFreeTruncation(b);
        if (_ranges is not null && condition.IsSigned() && a.Type == IrType.I32 && IsNonNegative(a, node.Block!) && IsNonNegative(b, node.Block!))
        {
            condition = condition.ToUnsigned();
        }

        var narrow = truncated ? a.Type == IrType.I32 : ComparesHalves(condition, a, b);
        (a, b) = (IsFreeTruncation(a) ? a.Operands[0] : a, IsFreeTruncation(b) ? b.Operands[0] : b);
        var (register, immediate) = Operand(b, narrow ? IrType.I32 : IrType.I64);
        return ((byte)((narrow ? OpCodes.ClassJmp32 : OpCodes.ClassJmp) | JumpCode(condition)), Use(a), register, immediate);
    }

    /// <summary>A right operand: an immediate where it fits, else a register.</summary>
    private (int Register, long Immediate) Operand(Node node, IrType type) =>
        node.IsConstant && Simplifier.FitsImmediate(type, node.Immediate)
            ? (MachineInstruction.None, type == IrType.I32 ? (int)node.Immediate : node.Immediate)
            : (Use(node), 0);

    private (int Register, Node? Slot, short Displacement) Address(Node node)
    {
        var address = node.Operands[0];
        if (Aliasing.BaseOf(address) is { Op: Op.Alloca } slot)
        {
            return (10, slot, checked((short)(node.Immediate + Aliasing.OffsetOf(address))));
        }

        return (Use(address), null, checked((short)node.Immediate));
    }

    private int Define(Node node) => _registers[node] = _machine.NewRegister();

    /// <summary>The register of a value; leaves get a fresh one each time.</summary>
    private int Use(Node node)
    {
        if (_registers.TryGetValue(node, out var register))
        {
            return register;
        }

        if (LoopConstant(node) is { } made)
        {
            return made;
        }

        register = _machine.NewRegister();
        Materialize(node, register);
        return register;
    }

    /// <summary>Brings a value into a given register.</summary>
    private void Materialize(Node node, int dst)
    {
        if (_registers.TryGetValue(node, out var register))
        {
            Move(dst, register);
            return;
        }

        if (Aliasing.BaseOf(node) is { Op: Op.Alloca } slot)
        {
            Emit(new MachineInstruction(MachineKind.StackAddress) { Dst = dst, Slot = slot, Immediate = Aliasing.OffsetOf(node) });
            if (dst >= MachineFunction.FirstVirtual)
            {
                // The address lives on in a register: the slot cannot share its place.
                _machine.Pinned.Add(slot);
            }

            return;
        }

        if (LoopConstant(node) is { } made)
        {
            Move(dst, made);
            return;
        }

        switch (node.Op)
        {
            case Op.Constant when node.Type == IrType.I32 || (ulong)node.Immediate <= uint.MaxValue:
                // The 32-bit move clears the upper half.
                var narrow = node.Immediate > int.MaxValue;
                Emit(new MachineInstruction(MachineKind.Move)
                {
                    Code = (byte)((narrow ? OpCodes.ClassAlu : OpCodes.ClassAlu64) | OpCodes.Mov), Dst = dst, Immediate = (int)node.Immediate,
                });
                break;
            case Op.Constant when node.Immediate is >= int.MinValue and < 0:
                Emit(new MachineInstruction(MachineKind.Move) { Code = OpCodes.ClassAlu64 | OpCodes.Mov, Dst = dst, Immediate = node.Immediate });
                break;
            case Op.Constant:
                Emit(new MachineInstruction(MachineKind.Wide) { Code = OpCodes.LoadImmediate64, Dst = dst, Immediate = node.Immediate });
                break;
            case Op.Map or Op.MapValue:
                Emit(new MachineInstruction(MachineKind.Wide)
                {
                    Code = OpCodes.LoadImmediate64, Dst = dst, Map = (BpfMap)node.Payload!, IsMapValue = node.Op == Op.MapValue, Immediate = node.Immediate,
                });
                break;
            case Op.FunctionAddress:
                Emit(new MachineInstruction(MachineKind.Wide) { Code = OpCodes.LoadImmediate64, Dst = dst, Function = (Function)node.Payload! });
                break;
            case Op.FrozenObject or Op.FrozenStruct:
                throw new CompileException(Rule.NotFrozen, $"an object of type {node.Payload!.GetType().Name} is used as a value; objects exist only at compile time", _position);
            default:
                throw new CompileException(Rule.Internal, $"compiler fault: no register for {node}", _position);
        }
    }

    private void Move(int dst, int src) =>
        Emit(new MachineInstruction(MachineKind.Move) { Code = OpCodes.ClassAlu64 | OpCodes.Mov | OpCodes.SourceRegister, Dst = dst, Src = src });

    private void Emit(MachineInstruction instruction)
    {
        instruction.Position = _position;
        _current.Code.Add(instruction);
    }

    private static byte SizeCode(int size) => size switch { 1 => OpCodes.SizeB, 2 => OpCodes.SizeH, 4 => OpCodes.SizeW, _ => OpCodes.SizeDw };

    private static byte AluClass(IrType type) => type == IrType.I32 ? OpCodes.ClassAlu : OpCodes.ClassAlu64;

    private static byte AluCode(Op op) => op switch
    {
        Op.Add => OpCodes.Add,
        Op.Subtract => OpCodes.Sub,
        Op.Multiply => OpCodes.Mul,
        Op.DivideUnsigned => OpCodes.Div,
        Op.RemainderUnsigned => OpCodes.Mod,
        Op.And => OpCodes.And,
        Op.Or => OpCodes.Or,
        Op.Xor => OpCodes.Xor,
        Op.ShiftLeft => OpCodes.Lsh,
        Op.ShiftRightUnsigned => OpCodes.Rsh,
        Op.ShiftRightSigned => OpCodes.Arsh,
        _ => throw new InvalidOperationException($"{op} is no arithmetic"),
    };

    private static byte JumpCode(Condition condition) => condition switch
    {
        Condition.Equal => OpCodes.Jeq,
        Condition.NotEqual => OpCodes.Jne,
        Condition.LessUnsigned => OpCodes.Jlt,
        Condition.LessOrEqualUnsigned => OpCodes.Jle,
        Condition.GreaterUnsigned => OpCodes.Jgt,
        Condition.GreaterOrEqualUnsigned => OpCodes.Jge,
        Condition.LessSigned => OpCodes.Jslt,
        Condition.LessOrEqualSigned => OpCodes.Jsle,
        Condition.GreaterSigned => OpCodes.Jsgt,
        _ => OpCodes.Jsge,
    };
}
