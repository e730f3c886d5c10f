using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Analyses;

/// <summary>
/// Four-byte slots into which several paths write and of which the verifier need not know the value: helpers read them, and what the program reads back is
/// only compared. A value that was bounded before it was stored and indexes something afterwards is not among them.
/// </summary>
internal static class VagueSlots
{
    private const int FewestConstants = 3;

    public static HashSet<Node> Find(Function function)
    {
        var constants = new Dictionary<Node, HashSet<long>>();
        var refused = new HashSet<Node>();
        foreach (var block in function.Blocks)
        {
            foreach (var node in block.Nodes)
            {
                var operands = node.Operands;
                for (var i = 0; i < operands.Count; i++)
                {
                    var operand = operands[i];
                    if (operand is { Op: Op.Alloca, Size: 4 })
                    {
                        Use(node, i, operand);
                    }
                    else if (operand is { Op: Op.Load } load && load.Operands[0] is { Op: Op.Alloca, Size: 4 } slot && node.Op is not (Op.Branch or Op.Compare or Op.Return))
                    {
                        refused.Add(slot);
                    }
                }
            }
        }

        foreach (var (slot, values) in constants)
        {
            if (values.Count < FewestConstants)
            {
                refused.Add(slot);
            }
        }

        var vague = new HashSet<Node>(constants.Keys);
        vague.ExceptWith(refused);
        return vague;

        void Use(Node node, int operand, Node slot)
        {
            switch (node.Op)
            {
                case Op.Store when operand == 0 && node.Size == 4:
                    if (!constants.TryGetValue(slot, out var known))
                    {
                        constants[slot] = known = [];
                    }

                    Collect(node.Operands[1], known, 0);
                    break;
                case Op.Load when node.Size == 4:
                case Op.Call when ((HelperCall)node.Payload!).Arguments[operand].ReadOnly:
                    break;
                default:
                    refused.Add(slot);
                    break;
            }
        }
    }

    private static void Collect(Node value, HashSet<long> constants, int depth)
    {
        if (value.IsConstant)
        {
            constants.Add(value.Immediate);
        }
        else if (value.Op == Op.Phi && depth < 4)
        {
            foreach (var operand in value.Operands)
            {
                Collect(operand, constants, depth + 1);
            }
        }
    }
}
