using Skep.Bpf.Asm;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>
/// Graph colouring with iterated register coalescing (George and Appel, TOPLAS 1996): ten registers, six of them lost at a call.
/// What finds no register lives on the stack; constants and addresses are made again instead.
/// </summary>
internal sealed class RegisterAllocator
{
    private const int Colors = 10;
    private const int MaxRounds = 24;

    /// <summary>What tells the place of a spilled value from a variable's.</summary>
    internal const string SpillSlot = "spill";

    private readonly MachineFunction _function;
    private readonly HashSet<int> _spillTemporaries = [];
    private readonly HashSet<int> _isCut = [];
    private readonly Dictionary<int, Node> _slots = [];

    private RegisterAllocator(MachineFunction function) => _function = function;

    public static void Run(MachineFunction function, SourcePosition position)
    {
        var allocator = new RegisterAllocator(function);
        var (edges, neighbors) = (new EdgeSet(), new AdjacencyLists());
        for (var round = 0; round < MaxRounds; round++)
        {
            var graph = new InterferenceGraph(function, allocator._spillTemporaries, edges, neighbors);
            var spilled = graph.Color(Colors);
            if (spilled.Count == 0)
            {
                graph.Apply();
                return;
            }

            allocator.Spill(spilled);
        }

        throw new CompileException(Rule.Internal, "compiler fault: register allocation does not end", position);
    }

    private void Spill(List<int> spilled)
    {
        var set = spilled.ToHashSet();
        var recipes = FindRecipes(set);
        foreach (var register in spilled)
        {
            if (!recipes.ContainsKey(register))
            {
                _slots.TryAdd(register, new Node(Op.Alloca, IrType.Pointer) { Size = 8, Payload = SpillSlot });
            }
        }

        var uses = new Row<int>();
        var definitions = new Row<int>();
        var touched = new Row<int>();
        foreach (var block in _function.Blocks)
        {
            var code = new Row<MachineInstruction>(block.Code.Count + 16);

            // Registers that hold a spilled value from its definition or reload on, until the next call at most: the first spill only cuts a long life into
            // short ones. What is spilled a second time lives for one instruction.
            var held = new Dictionary<int, int>();
            foreach (var instruction in block.Code)
            {
                uses.Clear();
                definitions.Clear();
                instruction.CollectUses(uses);
                instruction.CollectDefinitions(definitions);
                if (definitions.Count == 1 && ((recipes.TryGetValue(definitions[0], out var own) && own == instruction) || IsReload(instruction, set)))
                {
                    // Made again, or read again, at each use.
                    continue;
                }

                if (instruction.Kind == MachineKind.Store && set.Contains(instruction.Src) && !recipes.ContainsKey(instruction.Src)
                    && instruction.Slot is { } kept && _slots.GetValueOrDefault(instruction.Src) == kept)
                {
                    // The definition, which is another now, stores it.
                    continue;
                }

                MachineInstruction? store = null;
                touched.Clear();
                AddSpilled(uses, set, touched);
                AddSpilled(definitions, set, touched);
                foreach (var register in touched)
                {
                    var isRecipe = recipes.TryGetValue(register, out var recipe);
                    if (!held.TryGetValue(register, out var temporary))
                    {
                        temporary = Temporary(register, isRecipe, held);
                        if (uses.Contains(register))
                        {
                            code.Add(isRecipe ? Clone(recipe!, temporary, instruction.Position) : Reload(register, temporary, instruction.Position));
                        }
                    }

                    if (definitions.Contains(register))
                    {
                        store = new MachineInstruction(MachineKind.Store)
                        {
                            Code = OpCodes.ClassStx | OpCodes.ModeMem | OpCodes.SizeDw, Dst = 10, Src = temporary, Slot = _slots[register], Position = instruction.Position,
                        };
                    }

                    instruction.Rename(register, temporary);
                }

                code.Add(instruction);
                if (store is not null)
                {
                    code.Add(store);
                }

                if (instruction.Kind == MachineKind.Call)
                {
                    held.Clear();
                }
            }

            block.Code = code;
        }
    }

    private static void AddSpilled(Row<int> registers, HashSet<int> spilled, Row<int> touched)
    {
        foreach (var register in registers)
        {
            if (spilled.Contains(register) && !touched.Contains(register))
            {
                touched.Add(register);
            }
        }
    }

    private int Temporary(int register, bool isRecipe, Dictionary<int, int> held)
    {
        var temporary = _function.NewRegister();
        if (isRecipe || _isCut.Contains(register))
        {
            _spillTemporaries.Add(temporary);
        }
        else
        {
            held.Add(register, temporary);
            _isCut.Add(temporary);
            _slots.Add(temporary, _slots[register]);
        }

        return temporary;
    }

    private MachineInstruction Reload(int register, int temporary, SourcePosition position) => new(MachineKind.Load)
    {
        Code = OpCodes.ClassLdx | OpCodes.ModeMem | OpCodes.SizeDw, Dst = temporary, Src = 10, Slot = _slots[register], Position = position,
    };

    /// <summary>The reload by which a part of a spilled life began, of which nothing is left when the part is spilled too.</summary>
    private bool IsReload(MachineInstruction instruction, HashSet<int> set) =>
        instruction.Kind == MachineKind.Load && set.Contains(instruction.Dst) && instruction.Slot is { } slot && _slots.GetValueOrDefault(instruction.Dst) == slot;

    /// <summary>Registers with a single definition that can be repeated anywhere.</summary>
    private Dictionary<int, MachineInstruction> FindRecipes(HashSet<int> spilled)
    {
        var recipes = new Dictionary<int, MachineInstruction>();
        var refused = new HashSet<int>();
        var definitions = new Row<int>();
        foreach (var block in _function.Blocks)
        {
            foreach (var instruction in block.Code)
            {
                definitions.Clear();
                instruction.CollectDefinitions(definitions);
                foreach (var register in definitions)
                {
                    if (!spilled.Contains(register))
                    {
                        continue;
                    }

                    var repeatable = instruction.Kind is MachineKind.Wide or MachineKind.StackAddress || (instruction.Kind == MachineKind.Move && instruction.Src == MachineInstruction.None);
                    if (!repeatable || !recipes.TryAdd(register, instruction))
                    {
                        refused.Add(register);
                    }
                }
            }
        }

        foreach (var register in refused)
        {
            recipes.Remove(register);
        }

        return recipes;
    }

    private static MachineInstruction Clone(MachineInstruction recipe, int dst, SourcePosition position) => new(recipe.Kind)
    {
        Code = recipe.Code, Dst = dst, Immediate = recipe.Immediate, Slot = recipe.Slot, Map = recipe.Map, IsMapValue = recipe.IsMapValue, Function = recipe.Function, Position = position,
    };
}
