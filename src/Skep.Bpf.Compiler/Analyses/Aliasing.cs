using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Analyses;

/// <summary>Where pointers point, and which memory accesses can touch each other.</summary>
internal sealed class Aliasing
{
    private readonly Provenance[] _provenance;
    private readonly EscapingSlots _escaping;

    public Aliasing(Function function)
    {
        _escaping = new EscapingSlots(function);
        _provenance = new Provenance[function.Number()];
        for (var changed = true; changed;)
        {
            changed = false;
            foreach (var block in function.Blocks)
            {
                foreach (var node in block.Nodes)
                {
                    changed |= Update(node);
                }
            }
        }
    }

    public Provenance Of(Node node) => node.Op switch
    {
        Op.Context => Provenance.Context,
        Op.Parameter => node.Provenance,
        Op.Alloca => Provenance.Stack,
        Op.Map => Provenance.Map,
        Op.MapValue => Provenance.MapValue,
        _ => (uint)node.Id < (uint)_provenance.Length ? _provenance[node.Id] : Provenance.None,
    };

    /// <summary>Whether the address of the slot goes anywhere but into direct accesses and helper arguments.</summary>
    public bool Escapes(Node slot) => _escaping.Contains(slot);

    /// <summary>The slot, or the node itself, below constant offsets.</summary>
    public static Node BaseOf(Node address)
    {
        while (address.Op == Op.Add && address.Operands[1].IsConstant)
        {
            address = address.Operands[0];
        }

        return address;
    }

    public static long OffsetOf(Node address)
    {
        long offset = 0;
        while (address.Op == Op.Add && address.Operands[1].IsConstant)
        {
            offset += address.Operands[1].Immediate;
            address = address.Operands[0];
        }

        return offset;
    }

    /// <summary>Whether two accesses may overlap.</summary>
    public bool MayOverlap(Node a, int sizeA, Node b, int sizeB)
    {
        var (baseA, baseB) = (BaseOf(a.Operands[0]), BaseOf(b.Operands[0]));
        if (baseA == baseB)
        {
            var offsetA = a.Immediate + OffsetOf(a.Operands[0]);
            var offsetB = b.Immediate + OffsetOf(b.Operands[0]);
            return offsetA < offsetB + sizeB && offsetB < offsetA + sizeA;
        }

        if (baseA.Op == Op.Alloca && baseB.Op == Op.Alloca)
        {
            return false;
        }

        var (regionA, regionB) = (Of(baseA), Of(baseB));
        if (regionA != Provenance.None && regionB != Provenance.None && regionA != regionB)
        {
            return false;
        }

        // A pointer of unknown origin can be a slot only if the slot's address escaped.
        return !(baseA.Op == Op.Alloca && !Escapes(baseA)) && !(baseB.Op == Op.Alloca && !Escapes(baseB));
    }

    private bool Update(Node node)
    {
        var provenance = node.Op switch
        {
            Op.Add or Op.Subtract when node.Type == IrType.Pointer => Of(node.Operands[0]),
            Op.Phi => Join(node),
            _ => node.Provenance,
        };
        if (_provenance[node.Id] == provenance)
        {
            return false;
        }

        _provenance[node.Id] = provenance;
        return true;
    }

    private Provenance Join(Node phi)
    {
        var result = Provenance.None;
        foreach (var operand in phi.Operands)
        {
            var provenance = Of(operand);
            if (operand == phi || operand.IsConstant)
            {
                continue;
            }

            if (result == Provenance.None)
            {
                result = provenance;
            }
            else if (provenance != Provenance.None && provenance != result)
            {
                return Provenance.None;
            }
        }

        return result;
    }
}
