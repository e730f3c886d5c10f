using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>
/// C# makes the delegate of a static lambda or method at its first use and keeps it in a static field. In a kernel program delegates cost nothing and
/// there is no first use, so the test of the field goes before translation: it would also break the line of code it stands in.
/// <code>
/// ldsfld cache; dup; brtrue END; pop; [object]; ldftn method; newobj delegate; dup; stsfld cache; END:
/// </code>
/// </summary>
internal static class DelegateCaches
{
    private static readonly OpCode?[] s_pattern = [OpCodes.Ldsfld, OpCodes.Dup, null, OpCodes.Pop, null, OpCodes.Ldftn, OpCodes.Newobj, OpCodes.Dup, OpCodes.Stsfld];

    /// <summary>Leaves of each occurrence the object, the method and the delegate's constructor.</summary>
    public static List<IlInstruction> Remove(List<IlInstruction> il, MethodBase method)
    {
        for (var i = 0; i + s_pattern.Length < il.Count; i++)
        {
            if (Matches(il, i, method))
            {
                foreach (var at in (ReadOnlySpan<int>)[0, 1, 2, 3, 7, 8])
                {
                    il[i + at] = il[i + at] with { Code = OpCodes.Nop, Operand = 0 };
                }
            }
        }

        return il;
    }

    /// <summary>The C# compiler sends a branch to a jump on to where that goes.</summary>
    private static bool LeadsTo(IlInstruction end, long target) =>
        end.Offset == target || ((end.Code == OpCodes.Br || end.Code == OpCodes.Br_S) && end.Operand == target);

    private static bool Matches(List<IlInstruction> il, int at, MethodBase method)
    {
        for (var i = 0; i < s_pattern.Length; i++)
        {
            if (s_pattern[i] is { } code && il[at + i].Code != code)
            {
                return false;
            }
        }

        return (il[at + 2].Code == OpCodes.Brtrue || il[at + 2].Code == OpCodes.Brtrue_S)
            && LeadsTo(il[at + s_pattern.Length], il[at + 2].Operand)
            && il[at].Operand == il[at + 8].Operand
            && method.Module.ResolveField(
                (int)il[at].Operand,
                method.DeclaringType is { IsGenericType: true } type ? type.GetGenericArguments() : null,
                method.IsGenericMethod ? method.GetGenericArguments() : null)!.DeclaringType!.IsDefined(typeof(CompilerGeneratedAttribute), false);
    }
}
