using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Emit;
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
        var slots = FindVariables(function, out var count);
        if (count == 0)
        {
            return false;
        }

        var dominators = new Dominators(function);
        var frontiers = dominators.Frontiers();
        var placed = new BitSet(function.Blocks.Count);
        foreach (var variable in slots.Promoted)
        {
            placed.Clear();
            PlacePhis(function, variable, frontiers, placed);
        }

        Rename(function, dominators, slots);
        foreach (var block in function.Blocks)
        {
            foreach (var phi in block.Phis)
            {
                phi.Payload = phi.Payload is Variable ? null : phi.Payload;
            }
        }

        function.ApplyReplacements();
        foreach (var block in function.Blocks)
        {
            block.Nodes.RemoveAll(n => n.Op == Op.Store && slots.Of(n) is { } && !slots.IsReadByHelpers(n.Operands[0]));
        }

        function.Allocas.RemoveAll(a => slots.IsPromoted(a) && !slots.IsReadByHelpers(a));
        return true;
    }

    /// <summary>The variables of the slots that can be promoted.</summary>
    private Slots FindVariables(Function function, out int count)
    {
        var slots = new Slots(function);
        foreach (var block in function.Blocks)
        {
            foreach (var node in block.Nodes)
            {
                var operands = node.Operands;
                for (var i = 0; i < operands.Count; i++)
                {
                    if (operands[i].Op == Op.Alloca)
                    {
                        slots.Use(node, i, readByHelpers);
                    }
                }
            }
        }

        // The verifier walks on with each of several constants in a register; in memory it forgets them (StackLayout).
        count = slots.Decide(VagueSlots.Find(function));
        return slots;
    }

    private static void PlacePhis(Function function, Variable variable, List<int>[] frontiers, BitSet placed)
    {
        var work = new Stack<int>();
        foreach (var definition in variable.Definitions)
        {
            work.Push(definition.Index);
        }

        while (work.TryPop(out var index))
        {
            foreach (var frontier in frontiers[index])
            {
                if (placed.Add(frontier))
                {
                    // It says whose it is until the values are named.
                    var block = function.Blocks[frontier];
                    block.Nodes.Insert(0, new Node(Op.Phi, variable.Type) { Block = block, Payload = variable });
                    work.Push(frontier);
                }
            }
        }
    }

    private static void Rename(Function function, Dominators dominators, Slots slots)
    {
        // Explicit stacks: inlined programs have deep dominator trees. The complement of how much was undone before a block is for when it is left.
        var work = new Stack<int>();
        var (changed, before) = (new List<Variable>(), new List<Node?>());
        work.Push(0);
        while (work.TryPop(out var index))
        {
            if (index < 0)
            {
                for (var i = changed.Count - 1; i >= ~index; i--)
                {
                    changed[i].Current = before[i];
                }

                changed.RemoveRange(~index, changed.Count - ~index);
                before.RemoveRange(~index, before.Count - ~index);
                continue;
            }

            work.Push(~changed.Count);
            var block = function.Blocks[index];
            foreach (var node in block.Nodes)
            {
                if (node is { Op: Op.Phi, Payload: Variable owner })
                {
                    Set(owner, node);
                }
                else if (node.Op is Op.Load or Op.Store && slots.Of(node) is { } variable)
                {
                    if (node.Op == Op.Load)
                    {
                        node.Replacement = variable.Read();
                    }
                    else
                    {
                        Set(variable, node.Operands[1].Resolve());
                    }
                }
            }

            var successors = block.Successors;
            for (var i = 0; i < successors.Count; i++)
            {
                if (successors.IndexOf(successors[i]) != i)
                {
                    continue;
                }

                foreach (var phi in successors[i].Phis)
                {
                    if (phi.Payload is Variable variable)
                    {
                        phi.AddOperand(variable.Read());
                        phi.Targets.Add(block);
                    }
                }
            }

            foreach (var child in dominators.Children[index])
            {
                work.Push(child);
            }
        }

        void Set(Variable variable, Node value)
        {
            changed.Add(variable);
            before.Add(variable.Current);
            variable.Current = value;
        }
    }

    /// <summary>The slots of a function and the places in them that are read and written as wholes, by number of the slot.</summary>
    private sealed class Slots
    {
        private readonly List<Variable> _variables = [];
        private readonly List<Variable>?[] _bySlot;
        private readonly BitSet _readByHelpers;
        private readonly BitSet _read;
        private readonly BitSet _refused;

        public Slots(Function function)
        {
            var count = function.Number();
            _bySlot = new List<Variable>?[count];
            (_readByHelpers, _read, _refused) = (new BitSet(count), new BitSet(count), new BitSet(count));
        }

        /// <summary>In the order of their first uses.</summary>
        public List<Variable> Promoted { get; } = [];

        public bool IsReadByHelpers(Node slot) => _readByHelpers.Contains(slot.Id);

        public bool IsPromoted(Node slot) => !_refused.Contains(slot.Id) && _bySlot[slot.Id] is not null;

        /// <summary>The promoted variable that a load or store names.</summary>
        public Variable? Of(Node access)
        {
            var slot = access.Operands[0];
            return slot.Op == Op.Alloca && !_refused.Contains(slot.Id) ? Find(slot, (int)access.Immediate) : null;
        }

        /// <summary>Takes note of a use of a slot's address.</summary>
        public void Use(Node node, int operand, bool mayBeReadByHelpers)
        {
            var slot = node.Operands[operand];
            if (mayBeReadByHelpers && node.Op == Op.Call && ((HelperCall)node.Payload!).Arguments[operand].ReadOnly)
            {
                _readByHelpers.Add(slot.Id);
                return;
            }

            if (operand != 0 || node.Op is not (Op.Load or Op.Store))
            {
                _refused.Add(slot.Id);
                return;
            }

            var variable = Find(slot, (int)node.Immediate);
            if (variable is null)
            {
                variable = new Variable(slot, (int)node.Immediate, node.Size);
                _variables.Add(variable);
                (_bySlot[slot.Id] ??= []).Add(variable);
            }

            if (variable.Size != node.Size)
            {
                _refused.Add(slot.Id);
            }

            if (node.Op == Op.Store)
            {
                variable.Definitions.Add(node.Block!);
            }
            else
            {
                _read.Add(slot.Id);
            }

            if ((node.Op == Op.Load ? node.Type : node.Operands[1].Type) == IrType.Pointer)
            {
                variable.Type = IrType.Pointer;
            }
        }

        /// <summary>Chooses the variables that are promoted, and says how many they are.</summary>
        public int Decide(HashSet<Node> vague)
        {
            foreach (var slot in vague)
            {
                if (_readByHelpers.Contains(slot.Id))
                {
                    _refused.Add(slot.Id);
                }
            }

            // Nothing is gained where only helpers read.
            foreach (var slot in _readByHelpers)
            {
                if (!_read.Contains(slot))
                {
                    _refused.Add(slot);
                }
            }

            foreach (var variable in _variables)
            {
                if (!_refused.Contains(variable.Slot.Id) && Overlaps(variable))
                {
                    _refused.Add(variable.Slot.Id);
                }
            }

            Promoted.AddRange(_variables.Where(v => !_refused.Contains(v.Slot.Id)));
            return Promoted.Count;
        }

        /// <summary>Overlapping accesses of different extent keep the slot in memory.</summary>
        private bool Overlaps(Variable variable) =>
            _bySlot[variable.Slot.Id]!.Exists(v => v != variable && v.Offset < variable.Offset + variable.Size && variable.Offset < v.Offset + v.Size);

        private Variable? Find(Node slot, int offset)
        {
            if (_bySlot[slot.Id] is { } variables)
            {
                foreach (var variable in variables)
                {
                    if (variable.Offset == offset)
                    {
                        return variable;
                    }
                }
            }

            return null;
        }
    }

    private sealed class Variable(Node slot, int offset, int size)
    {
        public Node Slot { get; } = slot;

        public int Offset { get; } = offset;

        public int Size { get; } = size;

        public IrType Type { get; set; } = size == 8 ? IrType.I64 : IrType.I32;

        public List<Block> Definitions { get; } = [];

        public Node? Current { get; set; }

        /// <summary>The current value; what was never written is zero, as the CLR has it.</summary>
        public Node Read() => Current ?? Node.Const(Type, 0);
    }
}
