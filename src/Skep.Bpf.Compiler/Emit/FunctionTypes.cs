using Skep.Bpf.Compiler.Frontend;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>What the kernel is told of a function's type.</summary>
internal static class FunctionTypes
{
    public static FunctionEntry Describe(Function function, int slot)
    {
        if (function.Signature is not { } signature)
        {
            return new FunctionEntry(slot, function.Name);
        }

        var parameters = new FunctionParameter[signature.Parameters.Count];
        for (var i = 0; i < parameters.Length; i++)
        {
            parameters[i] = Parameter(signature.Parameters[i].Name, signature.Parameters[i].Type);
        }

        return new FunctionEntry(slot, function.Name)
        {
            Parameters = parameters,
            Result = signature.Result == typeof(void) ? FunctionParameter.Number("", 4, true) : Parameter("", signature.Result),
            IsGlobal = signature.Use == FunctionUse.Global,
        };
    }

    private static FunctionParameter Parameter(string name, Type type)
    {
        if (type.IsByRef && type.GetElementType() is { } element)
        {
            return element.IsDefined(typeof(KernelContextAttribute), false) ? FunctionParameter.Context(name)
                : FunctionParameter.Memory(name, element.Name, element.IsByRefLike ? 0 : TypeLayout.SizeOf(element));
        }

        return TypeLayout.ScalarOf(type) is null ? FunctionParameter.Memory(name, type.Name, TypeLayout.SizeOf(type))
            : type.IsPointer || type.IsFunctionPointer ? FunctionParameter.Memory(name, "", 0)
            : FunctionParameter.Number(name, TypeLayout.SizeOf(type), TypeLayout.IsSigned(type));
    }
}
