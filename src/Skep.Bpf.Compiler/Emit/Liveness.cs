using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>
/// The registers that are live at block boundaries. Only those can be that some block reads before it writes them; they are few, and the sets are of their
/// places among each other.
/// </summary>
internal sealed class Liveness
{
    private readonly Row<int> _crossing = [];
    private readonly int[] _places;
    private readonly BitSet[] _out;
    private readonly BitSet[] _into;

    public Liveness(MachineFunction function)
    {
        // By the number of the block, which is its place in the function.
        var count = function.Blocks.Count;
        _places = new int[function.RegisterCount];
        Array.Fill(_places, -1);
        var (read, written) = (new Row<int>[count], new Row<int>[count]);

        // The block that wrote the register last: a later read there is of its own value.
        var writer = new int[function.RegisterCount];
        Array.Fill(writer, -1);
        Row<int> uses = [], definitions = [];
        foreach (var block in function.Blocks)
        {
            (read[block.Id], written[block.Id]) = ([], []);
            foreach (var instruction in block.Code)
            {
                uses.Clear();
                definitions.Clear();
                instruction.CollectUses(uses);
                instruction.CollectDefinitions(definitions);
                foreach (var use in uses)
                {
                    if (writer[use] != block.Id)
                    {
                        read[block.Id].Add(PlaceOf(use));
                    }
                }

                foreach (var definition in definitions)
                {
                    if (writer[definition] != block.Id)
                    {
                        writer[definition] = block.Id;
                        written[block.Id].Add(definition);
                    }
                }
            }
        }

        var (first, kills) = (new BitSet[count], new BitSet[count]);
        for (var b = 0; b < count; b++)
        {
            (first[b], kills[b]) = (new(_crossing.Count), new(_crossing.Count));
            foreach (var place in read[b])
            {
                first[b].Add(place);
            }

            foreach (var register in written[b])
            {
                if (_places[register] >= 0)
                {
                    kills[b].Add(_places[register]);
                }
            }
        }

        (_into, _out) = BackwardFlow.Solve(function, first, kills, _crossing.Count);
    }

    /// <summary>Adds the registers whose values are needed after the block.</summary>
    public void AddOut(MachineBlock block, LayeredSet registers)
    {
        foreach (var place in _out[block.Id])
        {
            registers.Add(_crossing[place]);
        }
    }

    /// <summary>Whether the value a register has at the start of the block is needed there or later.</summary>
    public bool IsLiveInto(MachineBlock block, int register) => _places[register] is >= 0 and var place && _into[block.Id].Contains(place);

    private int PlaceOf(int register)
    {
        if (_places[register] < 0)
        {
            _places[register] = _crossing.Count;
            _crossing.Add(register);
        }

        return _places[register];
    }
}
