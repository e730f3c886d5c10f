using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>
/// Parameters of primary constructors that methods use: C# keeps them in fields that it cannot mark <c>readonly</c>.
/// Where no method writes one, it is as frozen as a readonly field.
/// </summary>
internal static class CapturedParameters
{
    private const BindingFlags All = BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    private static readonly MemberCache<Type, HashSet<int>> s_written = new(WrittenFields);

    /// <summary>Whether the field is such a parameter and only its constructor writes it.</summary>
    public static bool IsReadOnly(FieldInfo field)
    {
        if (!field.IsPrivate || !field.Name.StartsWith('<') || !field.Name.EndsWith(">P", StringComparison.Ordinal))
        {
            return false;
        }

        var owner = field.DeclaringType!;
        return !s_written.Of(owner.IsGenericType ? owner.GetGenericTypeDefinition() : owner).Contains(field.MetadataToken);
    }

    /// <summary>Tokens of the fields that any method but a constructor stores to or takes the address of; nested types may, too.</summary>
    private static HashSet<int> WrittenFields(Type type)
    {
        var written = new HashSet<int>();
        foreach (var method in type.GetMethods(All))
        {
            Scan(method, written);
        }

        foreach (var nested in type.GetNestedTypes(All))
        {
            foreach (MethodBase method in nested.GetMethods(All).Concat<MethodBase>(nested.GetConstructors(All)))
            {
                Scan(method, written);
            }

            written.UnionWith(WrittenFields(nested));
        }

        return written;
    }

    private static void Scan(MethodBase method, HashSet<int> written)
    {
        if (method.IsAbstract || method.GetMethodBody()?.GetILAsByteArray() is not { } body)
        {
            return;
        }

        // Fields of generic types are named through a reference; the definition's token is what counts.
        var typeArguments = method.DeclaringType!.IsGenericType ? method.DeclaringType.GetGenericArguments() : null;
        var methodArguments = method.IsGenericMethod ? method.GetGenericArguments() : null;
        var byReference = new HashSet<Type>();
        var addressed = new List<FieldInfo>();
        foreach (var instruction in IlReader.Read(body))
        {
            if (instruction.Code == OpCodes.Stfld)
            {
                written.Add(Field(instruction).MetadataToken);
            }
            else if (instruction.Code == OpCodes.Ldflda)
            {
                addressed.Add(Field(instruction));
            }
            else if (instruction.Code == OpCodes.Call || instruction.Code == OpCodes.Callvirt)
            {
                byReference.UnionWith(method.Module.ResolveMethod((int)instruction.Operand, typeArguments, methodArguments)!.GetParameters().Select(static p => p.ParameterType));
            }
        }

        // The address of a readonly struct is taken to call its methods, unless some callee wants one by reference.
        foreach (var field in addressed)
        {
            if (!field.FieldType.IsDefined(typeof(IsReadOnlyAttribute), false) || byReference.Contains(field.FieldType.MakeByRefType()))
            {
                written.Add(field.MetadataToken);
            }
        }

        FieldInfo Field(IlInstruction instruction) => method.Module.ResolveField((int)instruction.Operand, typeArguments, methodArguments)!;
    }
}
