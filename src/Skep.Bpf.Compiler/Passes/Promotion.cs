using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>
/// Turns stack slots whose address never leaves the function into SSA values (Cytron et al., 1991), field by field:
/// this is scalar replacement of structs and of ref structs. A slot that helpers only read keeps its writes, but is not read by the program itself any more.
/// </summary>
/// <param name="readByHelpers">Whether the latter kind is looked at too: later, when it is known which of them hold constants.</param>
internal sealed class Promotion(bool readByHelpers) : IPass
{
    public string Why => "locals and struct fields become values in registers";

    public bool Run(Function function)
    {
        var variables = FindVariables(function, out var seen);
        if (variables.Count == 0)
        {
            return false;
        }

        var dominators = new Dominators(function);
        var frontiers = dominators.Frontiers();
        var phis = new Dictionary<Node, Variable>();
        foreach (var variable in variables.Values)
        {
            PlacePhis(function, variable, dominators, frontiers, phis);
        }

        Rename(function, dominators, variables, phis);
        function.ApplyReplacements();
        foreach (var block in function.Blocks)
        {
            block.Nodes.RemoveAll(n => n.Op == Op.Store && !seen.Contains(n.Operands[0]) && variables.ContainsKey((n.Operands[0], (int)n.Immediate)));
        }

        var promoted = variables.Keys.Select(static k => k.Alloca).ToHashSet();
        function.Allocas.RemoveAll(a => promoted.Contains(a) && !seen.Contains(a));
        return true;
    }

    /// <param name="function">The function.</param>
    /// <param name="seen">Slots that helpers read.</param>
    private Dictionary<(Node Alloca, int Offset), Variable> FindVariables(Function function, out HashSet<Node> seen)
    {
        seen = [];
        var read = new HashSet<Node>();
        var variables = new Dictionary<(Node, int), Variable>();
        var refused = new HashSet<Node>();
        foreach (var block in function.Blocks)
        {
            foreach (var node in block.Nodes)
            {
                for (var i = 0; i < node.Operands.Count; i++)
                {
                    var operand = node.Operands[i];
                    if (operand.Op != Op.Alloca)
                    {
                        continue;
                    }

                    if (readByHelpers && node.Op == Op.Call && ((HelperCall)node.Payload!).Arguments[i].ReadOnly)
                    {
                        seen.Add(operand);
                        continue;
                    }

                    if (i != 0 || node.Op is not (Op.Load or Op.Store))
                    {
                        refused.Add(operand);
                        continue;
                    }

                    var key = (operand, (int)node.Immediate);
                    if (!variables.TryGetValue(key, out var variable))
                    {
                        variable = new Variable(node.Size);
                        variables.Add(key, variable);
                    }

                    if (variable.Size != node.Size)
                    {
                        refused.Add(operand);
                    }

                    if (node.Op == Op.Store)
                    {
                        variable.Definitions.Add(block);
                    }
                    else
                    {
                        read.Add(operand);
                    }

                    var type = node.Op == Op.Load ? node.Type : node.Operands[1].Type;
                    if (type == IrType.Pointer)
                    {
                        variable.Type = IrType.Pointer;
                    }
                }
            }
        }

        // The verifier walks on with each of several constants in a register; in memory it forgets them (StackLayout).
        refused.UnionWith(VagueSlots.Find(function).Where(seen.Contains));

        // Nothing is gained where only helpers read.
        refused.UnionWith(seen.Where(s => !read.Contains(s)));

        // Overlapping accesses of different extent keep the slot in memory.
        foreach (var group in variables.GroupBy(static v => v.Key.Item1))
        {
            var end = int.MinValue;
            foreach (var ((_, offset), variable) in group.OrderBy(static v => v.Key.Item2))
            {
                if (offset < end)
                {
                    refused.Add(group.Key);
                }

                end = offset + variable.Size;
            }
        }

        foreach (var key in variables.Keys.Where(k => refused.Contains(k.Item1)).ToArray())
        {
            variables.Remove(key);
        }

        return variables;
    }

    private static void PlacePhis(Function function, Variable variable, Dominators dominators, List<int>[] frontiers, Dictionary<Node, Variable> phis)
    {
        var work = new Stack<int>(variable.Definitions.Select(dominators.IndexOf));
        var placed = new HashSet<int>();
        while (work.Count > 0)
        {
            foreach (var frontier in frontiers[work.Pop()])
            {
                if (placed.Add(frontier))
                {
                    var block = function.Blocks[frontier];
                    var phi = new Node(Op.Phi, variable.Type) { Block = block };
                    block.Nodes.Insert(0, phi);
                    phis.Add(phi, variable);
                    work.Push(frontier);
                }
            }
        }
    }

    private static void Rename(
        Function function, Dominators dominators, Dictionary<(Node Alloca, int Offset), Variable> variables, Dictionary<Node, Variable> phis)
    {
        // An explicit stack: inlined programs have deep dominator trees.
        var stack = new Stack<(int Block, List<(Variable, Node?)>? Undo)>();
        stack.Push((0, null));
        while (stack.Count > 0)
        {
            var (index, undo) = stack.Pop();
            if (undo is not null)
            {
                for (var i = undo.Count - 1; i >= 0; i--)
                {
                    undo[i].Item1.Current = undo[i].Item2;
                }

                continue;
            }

            var block = function.Blocks[index];
            undo = [];
            foreach (var node in block.Nodes)
            {
                if (node.Op == Op.Phi && phis.TryGetValue(node, out var variable))
                {
                    undo.Add((variable, variable.Current));
                    variable.Current = node;
                }
                else if (node.Op is Op.Load or Op.Store && variables.TryGetValue((node.Operands[0], (int)node.Immediate), out variable))
                {
                    if (node.Op == Op.Load)
                    {
                        node.Replacement = variable.Read();
                    }
                    else
                    {
                        undo.Add((variable, variable.Current));
                        variable.Current = node.Operands[1].Resolve();
                    }
                }
            }

            foreach (var successor in block.Successors.Distinct())
            {
                foreach (var phi in successor.Phis)
                {
                    if (phis.TryGetValue(phi, out var variable))
                    {
                        phi.AddOperand(variable.Read());
                        phi.Targets.Add(block);
                    }
                }
            }

            stack.Push((index, undo));
            foreach (var child in dominators.Children[index])
            {
                stack.Push((child, null));
            }
        }
    }

    private sealed class Variable(int size)
    {
        public int Size { get; } = size;

        public IrType Type { get; set; } = size == 8 ? IrType.I64 : IrType.I32;

        public List<Block> Definitions { get; } = [];

        public Node? Current { get; set; }

        /// <summary>The current value; what was never written is zero, as the CLR has it.</summary>
        public Node Read() => Current ?? Node.Const(Type, 0);
    }
}
