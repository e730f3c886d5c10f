using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Analyses;

/// <summary>
/// Sums up what an optimised function does to memory that its callers see. That it keeps the address of a caller's variable somewhere
/// need not be thought of: the verifier lets no function write a pointer to the stack into the frame of its caller, or anywhere else.
/// </summary>
internal static class Effects
{
    public static FunctionEffects Of(Function function)
    {
        var aliasing = new Aliasing(function);
        var parameters = function.Parameters.ToDictionary(static p => p, static _ => new Use());
        bool clobbers = false, writesContext = false, writesMemory = false;
        Provenance? result = null;
        foreach (var node in function.Blocks.SelectMany(static b => b.Nodes))
        {
            for (var i = 0; i < node.Operands.Count; i++)
            {
                if (parameters.TryGetValue(Aliasing.BaseOf(node.Operands[i]), out var use))
                {
                    Note(use, node, i);
                }
            }

            switch (node.Op)
            {
                case Op.Store or Op.Atomic:
                    var target = Aliasing.BaseOf(node.Operands[0]);
                    writesContext |= aliasing.Of(target) == Provenance.Context;
                    writesMemory |= target.Op != Op.Alloca && aliasing.Of(target) != Provenance.Context;
                    break;
                case Op.Call:
                    var call = (HelperCall)node.Payload!;
                    clobbers |= node.ClobbersPacket;
                    writesContext |= call.WritesContext;
                    writesMemory |= call.WritesMemory;
                    break;
                case Op.Return when node.Operands.Count > 0:
                    if (!node.Operands[0].IsConstant)
                    {
                        var own = aliasing.Of(node.Operands[0]);
                        result = result is null || result == own ? own : Provenance.None;
                    }

                    break;
            }
        }

        var arguments = new HelperArgument[function.Parameters.Count];
        for (var i = 0; i < arguments.Length; i++)
        {
            arguments[i] = parameters[function.Parameters[i]].ToArgument();
        }

        return new FunctionEffects(arguments, clobbers, writesContext, writesMemory, result ?? Provenance.None);
    }

    private static void Note(Use use, Node node, int operand)
    {
        switch (node.Op)
        {
            case Op.Load or Op.Store or Op.Atomic when operand == 0:
                var start = node.Immediate + Aliasing.OffsetOf(node.Operands[0]);
                use.Access(start, start + node.Size);
                use.IsWritten |= node.Op != Op.Load;
                break;
            case Op.Call:
                var argument = ((HelperCall)node.Payload!).Arguments[operand];
                var offset = Aliasing.OffsetOf(node.Operands[operand]);
                use.Access(offset, argument.Extent == 0 ? long.MaxValue : offset + argument.Extent);
                use.IsWritten |= !argument.ReadOnly;
                break;
            case Op.Add when operand == 0 && node.Operands[1].IsConstant:
                // Counted where the sum is used.
                break;
            case Op.Compare or Op.Branch:
                break;
            default:
                use.Access(0, long.MaxValue);
                use.IsWritten = true;
                break;
        }
    }

    private sealed class Use
    {
        private long _end;
        private bool _isVague;

        public bool IsWritten { get; set; }

        public void Access(long start, long end)
        {
            _isVague |= start < 0 || end > int.MaxValue;
            _end = Math.Max(_end, end);
        }

        public HelperArgument ToArgument() => new(_isVague ? 0 : (int)_end, !IsWritten);
    }
}
