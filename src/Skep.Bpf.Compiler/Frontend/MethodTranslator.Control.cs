using System.Reflection.Metadata;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>Basic blocks of the IL, their order, and what is known at their starts.</summary>
internal sealed partial class MethodTranslator
{
    private readonly Dictionary<int, IlBlock> _blocks = [];

    private void TranslateBlocks()
    {
        FindBlocks();
        var first = _blocks[0];
        GoTo(first);
        foreach (var block in ReversePostorder(first))
        {
            if (block.IsReached)
            {
                Translate(block);
            }
        }
    }

    private void FindBlocks()
    {
        var starts = new SortedSet<int> { 0 };
        foreach (var instruction in _il)
        {
            var code = (ILOpCode)(ushort)instruction.Code.Value;
            if (instruction.Targets is { } targets)
            {
                starts.UnionWith(targets);
                starts.Add(instruction.Next);
            }
            else if (instruction.Code.FlowControl is System.Reflection.Emit.FlowControl.Branch or System.Reflection.Emit.FlowControl.Cond_Branch)
            {
                starts.Add((int)instruction.Operand);
                starts.Add(instruction.Next);
            }
            else if (code is ILOpCode.Ret or ILOpCode.Throw)
            {
                starts.Add(instruction.Next);
            }
        }

        IlBlock? current = null;
        for (var i = 0; i < _il.Count; i++)
        {
            if (starts.Contains(_il[i].Offset))
            {
                current = new IlBlock(i);
                _blocks[_il[i].Offset] = current;
            }

            current!.Count++;
        }
    }

    private List<IlBlock> ReversePostorder(IlBlock first)
    {
        var order = new List<IlBlock>();
        var seen = new HashSet<IlBlock> { first };
        var stack = new Stack<(IlBlock Block, int Next)>();
        stack.Push((first, 0));
        while (stack.Count > 0)
        {
            var (block, next) = stack.Pop();
            var successors = SuccessorsOf(block);
            if (next < successors.Count)
            {
                stack.Push((block, next + 1));
                if (_blocks.TryGetValue(successors[successors.Count - 1 - next], out var successor) && seen.Add(successor))
                {
                    stack.Push((successor, 0));
                }
            }
            else
            {
                order.Add(block);
            }
        }

        order.Reverse();
        return order;
    }

    private List<int> SuccessorsOf(IlBlock block)
    {
        var last = _il[block.First + block.Count - 1];
        return last.Code.FlowControl switch
        {
            _ when last.Targets is { } targets => [.. targets, last.Next],
            System.Reflection.Emit.FlowControl.Branch => [(int)last.Operand],
            System.Reflection.Emit.FlowControl.Cond_Branch => [last.Next, (int)last.Operand],
            System.Reflection.Emit.FlowControl.Return or System.Reflection.Emit.FlowControl.Throw => [],
            _ => [last.Next],
        };
    }

    private void Translate(IlBlock block)
    {
        block.IsDone = true;
        _builder.Current = block.Ir!;
        Restore(block);
        for (var i = block.First; i < block.First + block.Count; i++)
        {
            var instruction = _il[i];
            UpdatePosition(instruction.Offset);
            Translate(instruction);
            if (!_builder.IsReachable)
            {
                return;
            }
        }

        // Falls through.
        var next = _il[block.First + block.Count - 1].Next;
        if (_blocks.TryGetValue(next, out var follower))
        {
            GoTo(follower);
        }
    }

    private void UpdatePosition(int offset)
    {
        // Sequence points are ordered; bodies are short, so a linear step from the end is enough.
        for (var i = _positions.Count - 1; i >= 0; i--)
        {
            if (_positions[i].Offset <= offset)
            {
                _builder.Position = _positions[i].Position;
                return;
            }
        }

        if (_positions.Count == 0)
        {
            // Library code without debug information keeps the position of the call.
            if (_builder.Position.Line == 0)
            {
                _builder.Position = new SourcePosition($"{_method.DeclaringType?.FullName}.{_method.Name}", 0, 0);
            }
        }
    }

    private void GoTo(IlBlock target)
    {
        _builder.Jump(Enter(target));
    }

    private void Branch(Condition condition, Node a, Node b, int target, int next)
    {
        if (Builder.Decide(condition, a, b) is { } known)
        {
            GoTo(_blocks[known ? target : next]);
            return;
        }

        a = Materialize(a);
        b = Materialize(b);
        var whenTrue = Enter(_blocks[target]);
        var whenFalse = Enter(_blocks[next]);
        _builder.Branch(condition, a, b, whenTrue, whenFalse);
    }

    private void Switch(Node value, int[] targets, int next)
    {
        if (value.IsConstant)
        {
            GoTo(_blocks[(ulong)value.Immediate < (ulong)targets.Length ? targets[value.Immediate] : next]);
            return;
        }

        var blocks = new List<Block>();
        foreach (var target in targets)
        {
            blocks.Add(Enter(_blocks[target]));
        }

        blocks.Add(Enter(_blocks[next]));
        _builder.Terminate(new Node(Op.Switch, IrType.Void).With(value), blocks.ToArray());
    }

    private void Return()
    {
        if (_returnType != typeof(void))
        {
            var value = Pop();
            if (_singleReturn || value.Node.Op == Op.FrozenObject)
            {
                if (_directResult is { } other && other.Node.Payload != value.Node.Payload)
                {
                    Fail(Rule.NotFrozen, $"'{_method.Name}' returns different objects on different paths; the object of a call must be known at compile time");
                    return;
                }

                _directResult = value;
            }
            else
            {
                _result ??= _builder.Function.NewAlloca(TypeLayout.ScalarOf(_returnType) is null && !_returnType.IsValueType ? 8 : TypeLayout.SizeOf(_returnType), _method.Name);
                if (_returnType.IsValueType || _returnType.IsPointer || _returnType.IsByRef)
                {
                    StoreObject(_result, value, _returnType);
                }
                else
                {
                    Fail(Rule.NotFrozen, $"'{_method.Name}' returns an object that is not known at compile time");
                }
            }
        }

        _builder.Jump(_exit);
    }

    /// <summary>Records what is known on this edge and returns the target's IR block.</summary>
    private Block Enter(IlBlock target)
    {
        target.Ir ??= _builder.Function.NewBlock();
        if (!_builder.IsReachable)
        {
            return target.Ir;
        }

        var slots = _locals.Concat(_arguments).ToArray();
        if (!target.IsReached)
        {
            target.IsReached = true;
            target.Known = [.. slots.Select(static s => s.Known)];
            target.Conflicts = [.. slots.Select(static s => s.Conflict)];
            foreach (var entry in _stack)
            {
                target.Stack.Add(new StackSlot(entry));
            }
        }
        else
        {
            for (var i = 0; i < slots.Length; i++)
            {
                if (!Same(target.Known[i], slots[i].Known))
                {
                    if (target.IsDone && target.Known[i] is not null)
                    {
                        Fail(Rule.NotFrozen, $"a variable of type {slots[i].Type.Name} changes its object inside a loop; kernel loops cannot iterate over objects");
                        return target.Ir;
                    }

                    target.Known[i] = null;
                    target.Conflicts[i] = true;
                }
            }
        }

        for (var i = 0; i < _stack.Count; i++)
        {
            var slot = target.Stack[i];
            var entry = _stack[i];
            if (slot.Frozen is { } frozen)
            {
                if (!Same(frozen, entry))
                {
                    Fail(Rule.NotFrozen, "an expression gives different objects on different paths; call each object in its own branch");
                    return target.Ir;
                }

                continue;
            }

            slot.Memory ??= _builder.Function.NewAlloca(slot.Struct is { } type ? TypeLayout.SizeOf(type) : 8, "stack");
            if (slot.Struct is not null)
            {
                StoreStruct(slot.Memory, entry, slot.Struct);
            }
            else
            {
                var value = Materialize(entry.Node);
                value = slot.Type == IrType.I32 ? _builder.Truncate(value) : value.Type == IrType.I32 ? _builder.SignExtend(value, 32, IrType.I64) : value;
                _builder.Store(slot.Memory, 0, slot.Type == IrType.I32 ? 4 : 8, value);
            }
        }

        return target.Ir;
    }

    private void Restore(IlBlock block)
    {
        for (var i = 0; i < block.Known.Length; i++)
        {
            var slot = i < _locals.Length ? _locals[i] : _arguments[i - _locals.Length];
            slot.Known = block.Known[i];
            slot.Conflict = block.Conflicts[i];
        }

        _stack.Clear();
        foreach (var slot in block.Stack)
        {
            _stack.Add(slot.Frozen ?? (slot.Struct is not null
                ? new Entry(slot.Memory!, slot.Struct)
                : new Entry(_builder.Load(slot.Memory!, 0, slot.Type == IrType.I32 ? 4 : 8, slot.Type))));
        }
    }

    private static bool Same(Entry? a, Entry? b) =>
        a is null || b is null
            ? a is null && b is null
            : a.Value.Node == b.Value.Node
                || (a.Value.Node.IsFrozen && b.Value.Node.IsFrozen && ReferenceEquals(a.Value.Node.Payload, b.Value.Node.Payload))
                || (a.Value.Node.IsConstant && b.Value.Node.IsConstantValue(a.Value.Node.Immediate));

    private sealed class IlBlock(int first)
    {
        public int First { get; } = first;

        public int Count { get; set; }

        public Block? Ir { get; set; }

        public bool IsReached { get; set; }

        public bool IsDone { get; set; }

        public Entry?[] Known { get; set; } = [];

        public bool[] Conflicts { get; set; } = [];

        public List<StackSlot> Stack { get; } = [];
    }

    /// <summary>An evaluation stack entry that crosses a block boundary: through memory, or as a frozen value.</summary>
    private sealed class StackSlot(Entry entry)
    {
        public Entry? Frozen { get; } = entry.Node.IsFrozen ? entry : null;

        public Type? Struct { get; } = entry.Struct;

        public IrType Type { get; } = entry.Node.Type;

        public Node? Memory { get; set; }
    }
}
