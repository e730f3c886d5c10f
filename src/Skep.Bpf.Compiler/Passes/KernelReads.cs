using Skep.Bpf.Asm;
using Skep.Bpf.Btf;
using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>
/// Lets loads from kernel structs stand where the verifier types the pointer: one that came with the event, from a helper, or from a field of
/// such a struct. Any other address is a number to the verifier, and memory behind it is read by <c>bpf_probe_read_kernel</c>.
/// </summary>
internal sealed class KernelReads(BtfFile kernel) : IPass
{
    private readonly Dictionary<Node, Origin> _origins = [];

    private enum Kind : byte
    {
        /// <summary>Stack, packet, map, context: not ours.</summary>
        Elsewhere,

        /// <summary>A struct of the kernel, as the verifier sees it too.</summary>
        Typed,

        /// <summary>A number.</summary>
        Number,
    }

    public string Why => "what the verifier does not type is read by a helper";

    public bool Run(Function function)
    {
        var reads = new List<Node>();
        foreach (var block in function.Blocks)
        {
            foreach (var node in block.Nodes)
            {
                if (node.Op is not (Op.Load or Op.Store) || IsDirect(node))
                {
                    continue;
                }

                if (node.Op == Op.Store)
                {
                    throw new CompileException(
                        Rule.KernelField, $"{node.Payload} is written through a pointer that the kernel does not vouch for; only structs handed to the program can be written", node.Position);
                }

                reads.Add(node);
            }
        }

        foreach (var read in reads)
        {
            Replace(function, read);
        }

        if (reads.Count > 0)
        {
            function.ApplyReplacements();
        }

        return reads.Count > 0;
    }

    private static void Replace(Function function, Node read)
    {
        var block = read.Block!;
        var at = block.Nodes.IndexOf(read);
        var copy = function.NewAlloca(read.Size, "read");
        var address = read.Operands[0];
        if (read.Immediate != 0)
        {
            address = Insert(new Node(Op.Add, IrType.Pointer).With(address, Node.Const(IrType.I64, read.Immediate)));
        }

        Insert(new Node(Op.Call, IrType.I64)
        {
            Immediate = HelperCall.ProbeReadKernel,
            Payload = new HelperCall(nameof(Helper.ProbeReadKernel), [new HelperArgument(read.Size, false), default, default]),
        }.With(copy, Node.Const(IrType.I64, read.Size), address));
        read.Replacement = Insert(new Node(Op.Load, read.Type) { Size = read.Size }.With(copy));

        Node Insert(Node node)
        {
            node.Block = block;
            node.Position = read.Position;
            block.Nodes.Insert(at++, node);
            return node;
        }
    }

    /// <summary>Whether the access may stay a load or store.</summary>
    private bool IsDirect(Node access)
    {
        var origin = OriginOf(access.Operands[0]);
        if (access.Payload is not KernelAccess && Root(access.Operands[0]).Payload is not KernelAccess)
        {
            // Neither a field nor memory behind a pointer out of the kernel: the address is the program's own business.
            return true;
        }

        // A cast beyond the struct that the verifier knows would be refused.
        return origin.Kind != Kind.Number
            && (origin.Struct is not { } known || access.Immediate + Aliasing.OffsetOf(access.Operands[0]) + access.Size <= kernel.SizeOf(known));
    }

    private Origin OriginOf(Node node)
    {
        if (_origins.TryGetValue(node, out var known))
        {
            return known;
        }

        // A phi that leads back to itself adds nothing.
        _origins[node] = new Origin(Kind.Typed, null);
        return _origins[node] = Compute(node);
    }

    private Origin Compute(Node node)
    {
        switch (node.Op)
        {
            case Op.Add or Op.Subtract when node.Type == IrType.Pointer:
                // The verifier takes no variable offset into a struct of the kernel.
                var below = OriginOf(Below(node));
                return below.Kind == Kind.Typed && !node.Operands[1].IsConstant ? new Origin(Kind.Number, null) : below;
            case Op.Load:
                return OfLoad(node);
            case Op.Call:
                return node.Provenance == Provenance.Kernel ? new Origin(Kind.Typed, null)
                    : node.Type == IrType.Pointer ? default : new Origin(Kind.Number, null);
            case Op.Phi:
                return OfPhi(node);
            default:
                return node.IsLeaf ? default : new Origin(Kind.Number, null);
        }
    }

    private static Node Root(Node address)
    {
        while (address.Op is Op.Add or Op.Subtract && address.Type == IrType.Pointer)
        {
            address = Below(address);
        }

        return address;
    }

    private static Node Below(Node sum) => sum.Operands[0].Type != IrType.Pointer && sum.Operands[1].Type == IrType.Pointer ? sum.Operands[1] : sum.Operands[0];

    private Origin OfLoad(Node load)
    {
        if (load.Payload is KernelAccess access)
        {
            return access.PointsTo is { } target && IsDirect(load) ? new Origin(Kind.Typed, target) : new Origin(Kind.Number, null);
        }

        if (load.Provenance != Provenance.None)
        {
            return load.Provenance == Provenance.Kernel ? new Origin(Kind.Typed, null) : default;
        }

        // What was spilled to the stack is still what it was; a number out of the context or a map is a number.
        return Aliasing.BaseOf(load.Operands[0]).Op switch
        {
            Op.Alloca => default,
            Op.Context when load.Type == IrType.Pointer => default,
            _ => new Origin(Kind.Number, null),
        };
    }

    private Origin OfPhi(Node phi)
    {
        Origin? all = null;
        foreach (var operand in phi.Operands)
        {
            if (operand == phi || operand.IsConstant)
            {
                continue;
            }

            var origin = OriginOf(operand);
            if (origin.Kind == Kind.Number)
            {
                return origin;
            }

            all = all is null || all == origin ? origin : all.Value.Kind == origin.Kind ? new Origin(origin.Kind, null) : default(Origin);
        }

        return all ?? default;
    }

    private readonly record struct Origin(Kind Kind, uint? Struct);
}
