using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>
/// Lays the tables that are still read at places known only at run time into one read-only map, as C compilers do with <c>.rodata</c>.
/// A table of eight bytes or fewer is a number to shift: no memory is needed.
/// </summary>
internal sealed class ConstantPool : IPass
{
    public string Why => "tables go into one read-only map, the smallest into a register";

    public bool Run(Function function)
    {
        var changed = ShiftSmallTables(function);
        var tables = new Dictionary<string, int>();
        var uses = new List<(Node Node, int Offset)>();
        var bytes = new List<byte>();
        var seen = new HashSet<Node>();
        foreach (var operand in function.Blocks.SelectMany(static b => b.Nodes).SelectMany(static n => n.Operands))
        {
            if (operand is not { Op: Op.MapValue, Payload: ConstantTable table } || !seen.Add(operand))
            {
                continue;
            }

            var contents = Convert.ToBase64String(table.Bytes);
            if (!tables.TryGetValue(contents, out var offset))
            {
                offset = bytes.Count;
                tables.Add(contents, offset);
                bytes.AddRange(table.Bytes);
                bytes.AddRange(new byte[-bytes.Count & 7]);
            }

            uses.Add((operand, offset));
        }

        if (uses.Count == 0)
        {
            return changed;
        }

        var map = new UntypedMap(MapKind.Array, sizeof(uint), bytes.Count, 1, MapFlags.ReadOnlyForPrograms, ".rodata") { InitialValue = bytes.ToArray(), IsConstant = true };
        foreach (var (node, offset) in uses)
        {
            node.Payload = map;
            node.Immediate += offset;
        }

        return true;
    }

    private static bool ShiftSmallTables(Function function)
    {
        var changed = false;
        foreach (var block in function.Blocks)
        {
            for (var i = 0; i < block.Nodes.Count; i++)
            {
                var load = block.Nodes[i];
                if (load is not { Op: Op.Load, Type: not IrType.Pointer } || load.Operands[0] is not { Op: Op.Add } sum
                    || sum.Operands[0] is not { Op: Op.MapValue, Immediate: 0, Payload: ConstantTable { Bytes.Length: <= 8 } table } || load.Size == 8)
                {
                    continue;
                }

                var whole = new byte[8];
                table.Bytes.CopyTo(whole, 0);
                var added = new List<Node>();
                var place = sum.Operands[1];
                if (load.Immediate != 0)
                {
                    place = Add(Op.Add, IrType.I64, place, Node.Const(IrType.I64, load.Immediate));
                }

                var bits = Add(Op.ShiftLeft, IrType.I64, place, Node.Const(IrType.I64, 3));
                var value = Add(Op.ShiftRightUnsigned, IrType.I64, Node.Const(IrType.I64, BitConverter.ToInt64(whole)), bits);
                value = Add(Op.And, IrType.I64, value, Node.Const(IrType.I64, (1L << (load.Size * 8)) - 1));
                load.Replacement = load.Type == IrType.I32 ? Truncate(value) : value;
                block.Nodes.InsertRange(i, added);
                i += added.Count;
                changed = true;

                Node Add(Op op, IrType type, Node a, Node b)
                {
                    var node = new Node(op, type) { Block = block, Position = load.Position }.With(a, b);
                    added.Add(node);
                    return node;
                }

                Node Truncate(Node wide)
                {
                    var node = new Node(Op.Truncate, IrType.I32) { Block = block, Position = load.Position }.With(wide);
                    added.Add(node);
                    return node;
                }
            }
        }

        if (changed)
        {
            function.ApplyReplacements();
        }

        return changed;
    }
}
