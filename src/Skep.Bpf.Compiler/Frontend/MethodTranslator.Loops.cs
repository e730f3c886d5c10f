using System.Reflection;
using Skep.Bpf.Btf;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>How loops are written for the kernel at hand.</summary>
internal sealed partial class MethodTranslator
{
    /// <summary>A loop that the verifier walks round by round costs less than a call back, up to about this many rounds.</summary>
    private const int FewRounds = 16;

    private static readonly Version s_bpfLoop = new(5, 17), s_iterators = new(6, 4), s_mayGoto = new(6, 9);

    private void LowerLoop(MethodInfo method, LoopWay way, Entry[] arguments)
    {
        if (way == LoopWay.Callback)
        {
            var few = arguments[0].Node.IsConstant && (ulong)arguments[0].Node.Immediate <= FewRounds;
            PushConstant(_translator.Target.Kernel >= s_bpfLoop && !few ? 1 : 0);
        }
        else if (way == LoopWay.Iterator)
        {
            var target = _translator.Target;
            PushConstant(target.Kernel >= s_iterators && !MayGoto(target) && target.KernelBtf?.Find("bpf_iter_num_new", BtfKind.Function) is not null ? 1 : 0);
        }
        else if (way == LoopWay.IteratorVariable)
        {
            var iterator = method.ReturnType.GetElementType()!;
            Push(_builder.Function.NewAlloca(TypeLayout.SizeOf(iterator), iterator.Name));
        }
        else if (!MayGoto(_translator.Target))
        {
            PushConstant(1);
        }
        else
        {
            MayLoop();
        }
    }

    /// <summary>Whether the kernel counts the rounds of a loop where it is asked to.</summary>
    internal static bool MayGoto(CompileTarget target) => target.Kernel >= s_mayGoto && target.IsaLevel >= 3;

    private void MayLoop()
    {
        var function = _builder.Function;
        var memory = function.NewAlloca(4, "may continue");
        var (go, stop, join) = (function.NewBlock(), function.NewBlock(), function.NewBlock());
        _builder.Terminate(new Node(Op.MayLoop, IrType.Void), go, stop);
        _builder.Current = go;
        _builder.Store(memory, 0, 4, Node.Const(IrType.I32, 1));
        _builder.Jump(join);
        _builder.Current = stop;
        _builder.Store(memory, 0, 4, Node.Const(IrType.I32, 0));
        _builder.Jump(join);
        _builder.Current = join;
        Push(_builder.Load(memory, 0, 4, IrType.I32));
    }
}
