using System.Reflection;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>Tail calls: a value that is only there when the call has failed, and that must be returned at once.</summary>
internal sealed partial class MethodTranslator
{
    private const int TailCallHelper = 12;

    private void TailCall(MethodInfo method, Entry[] arguments)
    {
        var map = (BpfMap)arguments[0].Node.Payload!;
        var otherwise = arguments[3].Node;
        Push(_builder.Emit(new Node(Op.Call, TypeLayout.ScalarOf(method.ReturnType)!.Value)
        {
            Immediate = TailCallHelper,

            // The caller of a function that ends in a tail call finds a packet that another program has worked on.
            ClobbersPacket = true,
            Payload = new HelperCall("bpf_tail_call", new HelperArgument[4]) { IsTailCall = true, WritesContext = true, WritesMemory = true },
        }.With(arguments[1].Node, Translator.MapReference(map), _builder.ZeroExtend(arguments[2].Node), otherwise)));
    }
}
