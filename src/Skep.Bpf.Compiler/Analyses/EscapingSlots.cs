using Skep.Bpf.Compiler.Emit;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Analyses;

/// <summary>Slots on the stack whose address goes anywhere but into direct accesses and helper arguments, as of when they were looked for.</summary>
internal sealed class EscapingSlots
{
    private readonly BitSet _escaping;
    private readonly int _count;

    public EscapingSlots(Function function)
    {
        _count = function.Number();
        _escaping = new BitSet(_count);
        foreach (var block in function.Blocks)
        {
            foreach (var node in block.Nodes)
            {
                var operands = node.Operands;
                for (var i = 0; i < operands.Count; i++)
                {
                    if (Aliasing.BaseOf(operands[i]) is { Op: Op.Alloca } slot && !(i == 0 && node.Op is Op.Load or Op.Store or Op.Atomic)
                        && !(node.Op == Op.Add && i == 0 && operands[1].IsConstant) && node.Op != Op.Call)
                    {
                        _escaping.Add(slot.Id);
                    }
                }
            }
        }
    }

    public bool Contains(Node slot) => (uint)slot.Id < (uint)_count && _escaping.Contains(slot.Id);
}
