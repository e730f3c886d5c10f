using System.Diagnostics.CodeAnalysis;
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
        var order = ReversePostorder(first);
        for (var i = 0; i < order.Count; i++)
        {
            order[i].Order = i;
        }

        FindLiveSlots(order);
        FindSettledBlocks(order);
        GoTo(first);
        while (_work.TryDequeue(out var version, out _))
        {
            Translate(version);
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
            else if (code is ILOpCode.Ret or ILOpCode.Throw or ILOpCode.Endfinally || NeverReturns(instruction))
            {
                starts.Add(instruction.Next);
            }
        }

        starts.UnionWith(_finally.Select(static c => c.HandlerOffset));
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

    /// <summary>Calls of the class library's throw helpers: without them its checks would join the code they guard.</summary>
    private bool NeverReturns(IlInstruction il)
    {
        if (il.Code != System.Reflection.Emit.OpCodes.Call || _method.Module != typeof(object).Module)
        {
            return false;
        }

        return KnownMethod.Of(ResolveMethod(il)).Has<DoesNotReturnAttribute>();
    }

    private List<int> SuccessorsOf(IlBlock block)
    {
        var last = _il[block.First + block.Count - 1];
        return last.Code.FlowControl switch
        {
            _ when last.Targets is { } targets => [.. targets, last.Next],
            _ when NeverReturns(last) => [],
            _ when IsLeave(last) => [WayOut(last)[0]],
            _ when IsEndFinally(last) => [.. SuccessorsOfFinally(last)],
            System.Reflection.Emit.FlowControl.Branch => [(int)last.Operand],
            System.Reflection.Emit.FlowControl.Cond_Branch => [last.Next, (int)last.Operand],
            System.Reflection.Emit.FlowControl.Return or System.Reflection.Emit.FlowControl.Throw => [],
            _ => [last.Next],
        };
    }

    private void Translate(BlockVersion version)
    {
        var block = version.Block;
        _builder.Current = version.Ir;
        Restore(version);
        _translator.Spend(block.Count, _builder.Position);
        for (var i = block.First; i < block.First + block.Count; i++)
        {
            var instruction = _il[i];
            UpdatePosition(instruction.Offset);
            try
            {
                Translate(instruction);
            }
            catch (CompileException e) when (e.Position.Line == 0 && _builder.Position.Line > 0 && e.Id != Rule.Internal)
            {
                throw new CompileException(e.Id, e.Text, _builder.Position);
            }

            if (!_builder.IsReachable)
            {
                return;
            }
        }

        if (NeverReturns(_il[block.First + block.Count - 1]))
        {
            _builder.Trap(Rule.Internal, $"'{_method.Name}' goes on after a call that does not return");
            return;
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

        if (_positions.Count > 0)
        {
            // What the compiler made for the start of a method, such as the object of a closure.
            _builder.Position = _positions[0].Position;
        }
        else
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

        TrackBound(a, b);

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
                if (_directResult is { } other && !Same(other, value))
                {
                    if (!value.Node.IsFrozen && !other.Node.IsFrozen && _plan.ReturnThroughMemory())
                    {
                        throw new TranslationRestart(_plan);
                    }

                    Fail(Rule.NotFrozen, $"'{_method.Name}' returns different objects on different paths; the object of a call must be known at compile time: call each in its own branch");
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
                    Fail(Rule.NotFrozen, $"'{_method.Name}' returns different objects, or none, on different paths; the object of a call must be known at compile time: call each in its own branch");
                }
            }
        }

        _returns++;
        _builder.Continue(_exit);
        _builder.Jump(_exit);
    }
}
