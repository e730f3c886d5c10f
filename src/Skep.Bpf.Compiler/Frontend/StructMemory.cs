using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>Writes whole structs, piece by piece.</summary>
internal static class StructMemory
{
    public static void Store(Builder builder, Node address, Entry value, Type type)
    {
        if (value.Node.Op != Op.FrozenStruct)
        {
            Copy(builder, address, value.Node, type);
            return;
        }

        foreach (var leaf in TypeLayout.Of(type).Leaves)
        {
            builder.Store(address, leaf.Offset, leaf.Size, Node.Const(leaf.Size == 8 ? IrType.I64 : IrType.I32, Frozen.Piece(value.Node.Payload!, leaf)));
        }

        StorePadding(builder, address, type);
    }

    public static void Copy(Builder builder, Node target, Node source, Type type)
    {
        // All pieces are read before any is written: source and target may overlap.
        var layout = TypeLayout.Of(type);
        if (layout.HoldsKernelObject)
        {
            builder.Trap(Rule.Reference, $"a {type.Name} is copied, which is a thing of the kernel on the stack; keep it in one variable and pass it by ref or in");
        }

        var values = new Node[layout.Leaves.Length];
        for (var i = 0; i < values.Length; i++)
        {
            var leaf = layout.Leaves[i];
            values[i] = builder.Load(source, leaf.Offset, leaf.Size, leaf.Type);
        }

        for (var i = 0; i < values.Length; i++)
        {
            builder.Store(target, layout.Leaves[i].Offset, layout.Leaves[i].Size, values[i]);
        }

        StorePadding(builder, target, type);
    }

    public static void Zero(Builder builder, Node target, Type type)
    {
        foreach (var leaf in TypeLayout.Of(type).Leaves)
        {
            builder.Store(target, leaf.Offset, leaf.Size, Node.Const(leaf.Type, 0));
        }

        StorePadding(builder, target, type);
    }

    /// <summary>Padding is zero, always: map keys compare it and the verifier reads it.</summary>
    private static void StorePadding(Builder builder, Node target, Type type)
    {
        foreach (var gap in TypeLayout.Of(type).Padding)
        {
            builder.Store(target, gap.Offset, gap.Size, Node.Const(gap.Size == 8 ? IrType.I64 : IrType.I32, 0));
        }
    }
}
