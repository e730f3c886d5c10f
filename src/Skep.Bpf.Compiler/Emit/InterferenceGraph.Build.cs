using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>The graph of a function: which registers live at once, which are copied, and what it would cost to spill each.</summary>
internal sealed partial class InterferenceGraph
{
    private void Build()
    {
        var liveness = new Liveness(_function);
        var live = new LayeredSet(_degree.Length);

        // Where the life that is followed backwards ends in the block.
        var end = new int[_degree.Length];
        Row<int> uses = [], definitions = [];
        foreach (var block in _function.Blocks)
        {
            live.Clear();
            liveness.AddOut(block, live);
            foreach (var register in live)
            {
                end[register] = block.Code.Count;
            }

            var weight = Math.Pow(10, Math.Min(block.LoopDepth, 6));
            for (var i = block.Code.Count - 1; i >= 0; i--)
            {
                var instruction = block.Code[i];
                uses.Clear();
                definitions.Clear();
                instruction.CollectUses(uses);
                instruction.CollectDefinitions(definitions);
                var copied = MachineInstruction.None;
                if (instruction.IsCopy && instruction.Src != 10)
                {
                    // Both may have one register, though both live on.
                    copied = live.Remove(instruction.Src) ? instruction.Src : MachineInstruction.None;
                    (_moves[instruction.Dst] ??= []).Add(_allMoves.Count);
                    (_moves[instruction.Src] ??= []).Add(_allMoves.Count);
                    _worklistMoves.Add(_allMoves.Count);
                    _allMoves.Add(instruction);
                }

                foreach (var definition in definitions)
                {
                    if (live.Add(definition))
                    {
                        end[definition] = i;
                    }
                }

                foreach (var definition in definitions)
                {
                    foreach (var other in live)
                    {
                        AddEdge(other, definition);
                    }

                    if (instruction.Kind == MachineKind.Set)
                    {
                        // It writes its result before it compares.
                        foreach (var use in uses)
                        {
                            AddEdge(use, definition);
                        }
                    }
                }

                foreach (var definition in definitions)
                {
                    if (live.Remove(definition))
                    {
                        _life[definition] += end[definition] - i;
                    }

                    Note(definition, weight);
                }

                foreach (var use in uses)
                {
                    if (live.Add(use) && use != copied)
                    {
                        end[use] = i;
                    }

                    Note(use, weight);
                }
            }

            foreach (var register in live)
            {
                _life[register] += end[register];
            }
        }

        void Note(int register, double weight)
        {
            _exists[register] = true;
            _cost[register] += weight;
        }
    }
}
