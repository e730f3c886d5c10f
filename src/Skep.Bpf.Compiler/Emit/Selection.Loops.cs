using Skep.Bpf.Asm;
using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>Constants of 64 bits that a loop uses are made once, in front of it; when registers are short, the allocator makes them at their uses again.</summary>
internal sealed partial class Selection
{
    private readonly Dictionary<Block, Loop> _loopOf = [];
    private readonly Dictionary<Block, List<Loop>> _loopsAfter = [];
    private readonly Dictionary<Block, Dictionary<long, int>> _loopConstants = [];
    private Dictionary<Node, int> _longExits = [];
    private Block? _block;

    private void FindLoops()
    {
        var loops = Loops.Find(_function);
        _longExits = LongLoops.Exits(loops, _function);

        // Outer loops have larger bodies: the innermost one is entered last.
        foreach (var loop in loops.OrderByDescending(static l => l.Body.Count))
        {
            var outside = loop.Header.Predecessors.Where(p => !loop.Body.Contains(p)).ToArray();
            foreach (var block in loop.Body)
            {
                _loopOf[block] = loop;
            }

            if (outside.Length == 1)
            {
                (_loopsAfter.TryGetValue(outside[0], out var list) ? list : _loopsAfter[outside[0]] = []).Add(loop);
            }
        }
    }

    /// <summary>At the end of a block that enters a loop.</summary>
    private void MakeLoopConstants(Block block)
    {
        if (!_loopsAfter.TryGetValue(block, out var loops))
        {
            return;
        }

        foreach (var loop in loops)
        {
            if (!_loopConstants.TryGetValue(loop.Header, out var constants))
            {
                _loopConstants[loop.Header] = constants = [];
            }

            foreach (var node in _function.Blocks.Where(loop.Body.Contains).Where(b => _loopOf[b] == loop).SelectMany(static b => b.Nodes))
            {
                // What flows into a phi is made on the edge.
                foreach (var operand in node.Operands.Where(o => node.Op != Op.Phi && IsWide(o)))
                {
                    if (!constants.ContainsKey(operand.Immediate))
                    {
                        var register = _machine.NewRegister();
                        Emit(new MachineInstruction(MachineKind.Wide) { Code = OpCodes.LoadImmediate64, Dst = register, Immediate = operand.Immediate });
                        constants.Add(operand.Immediate, register);
                    }
                }
            }
        }
    }

    private int? LoopConstant(Node node) =>
        IsWide(node) && _block is not null && _loopOf.TryGetValue(_block, out var loop) && _loopConstants.TryGetValue(loop.Header, out var constants)
            && constants.TryGetValue(node.Immediate, out var register)
            ? register
            : null;

    private static bool IsWide(Node node) =>
        node.Op == Op.Constant && node.Type != IrType.I32 && (ulong)node.Immediate > uint.MaxValue && node.Immediate is not (>= int.MinValue and < 0);
}
