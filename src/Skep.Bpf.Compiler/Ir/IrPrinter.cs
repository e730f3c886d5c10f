using System.Globalization;
using System.Text;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Compiler.Ir;

/// <summary>Writes a function as text that a person can read.</summary>
internal static class IrPrinter
{
    public static string Print(Function function)
    {
        function.Number();
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"function {function.Name}({string.Join(", ", function.Parameters.Select(Name))})\n");
        foreach (var alloca in function.Allocas)
        {
            text.Append(CultureInfo.InvariantCulture, $"  {Name(alloca)} = stack {alloca.Size} bytes {alloca.Payload}\n");
        }

        foreach (var block in function.Blocks)
        {
            text.Append(CultureInfo.InvariantCulture, $"{block}:");
            if (block.Predecessors.Count > 0)
            {
                text.Append(CultureInfo.InvariantCulture, $"  ; from {string.Join(", ", block.Predecessors)}");
            }

            text.Append('\n');
            foreach (var node in block.Nodes)
            {
                text.Append(CultureInfo.InvariantCulture, $"  {Describe(node)}\n");
            }
        }

        return text.ToString();
    }

    public static string Name(Node node) => node.Op switch
    {
        Op.Constant => node.Type == IrType.I32 ? ((uint)node.Immediate).ToString(CultureInfo.InvariantCulture) : $"{node.Immediate}L",
        Op.Context => "ctx",
        Op.Parameter => $"p{node.Immediate}",
        Op.FunctionAddress => $"&{((Function)node.Payload!).Name}",
        Op.Map => $"map:{((BpfMap)node.Payload!).Name}",
        Op.MapValue => $"value:{(node.Payload is BpfMap map ? map.Name : node.Payload)}+{node.Immediate}",
        Op.FrozenObject or Op.FrozenStruct => $"frozen:{node.Payload?.GetType().Name}",
        Op.Alloca => $"s{node.Id}",
        _ => $"v{node.Id}",
    };

    public static string Describe(Node node)
    {
        var operands = string.Join(", ", node.Operands.Select(Name));
        var head = node.Type == IrType.Void ? "" : $"{Name(node)}:{node.Type switch { IrType.I32 => "i32", IrType.I64 => "i64", _ => "ptr" }} = ";
        var body = node.Op switch
        {
            Op.Load => $"load{node.Size * 8} [{operands}{node.Immediate:+0;-0;+0}]",
            Op.Store => $"store{node.Size * 8} [{Name(node.Operands[0])}{node.Immediate:+0;-0;+0}] <- {Name(node.Operands[1])}",
            Op.Compare => $"{node.Condition} {operands}",
            Op.Branch => $"if {node.Condition} {operands} then {node.Targets[0]} else {node.Targets[1]}",
            Op.Jump => $"jump {node.Targets[0]}",
            Op.MayLoop => $"may loop to {node.Targets[0]} else {node.Targets[1]}",
            Op.Switch => $"switch {operands} [{string.Join(", ", node.Targets)}]",
            Op.Phi => $"phi {string.Join(", ", node.Operands.Zip(node.Targets, (v, b) => $"{Name(v)} from {b}"))}",
            Op.Call when node.Payload is HelperCall { Target: { } target } => $"call {target.Name} ({operands})",
            Op.Call => $"call helper {node.Immediate} ({operands})",
            Op.Trap => $"trap {node.Payload}",
            Op.SignExtend or Op.ByteSwap => $"{node.Op}{node.Immediate} {operands}",
            _ => $"{node.Op} {operands}",
        };
        var line = node.Position.Line > 0 ? $"    ; {Path.GetFileName(node.Position.File)}:{node.Position.Line}" : "";
        return head + body + line;
    }
}
