using System.Reflection;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>Finds the method that a virtual, interface or constrained call reaches when the exact type is known.</summary>
internal static class Dispatch
{
    private const BindingFlags All = BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    public static MethodBase Find(Type type, MethodBase method)
    {
        if (method is not MethodInfo { IsVirtual: true } and not MethodInfo { IsAbstract: true })
        {
            return method;
        }

        var wanted = (MethodInfo)method;
        var definition = wanted.IsGenericMethod ? wanted.GetGenericMethodDefinition() : wanted;
        var found = definition.DeclaringType!.IsInterface ? ByInterface(type, definition) : ByOverride(type, definition);
        if (found is null)
        {
            return method;
        }

        return wanted.IsGenericMethod ? found.MakeGenericMethod(wanted.GetGenericArguments()) : found;
    }

    private static MethodInfo? ByInterface(Type type, MethodInfo definition)
    {
        if (type.IsInterface)
        {
            return null;
        }

        var map = type.GetInterfaceMap(definition.DeclaringType!);
        var index = Array.FindIndex(map.InterfaceMethods, m => m.MetadataToken == definition.MetadataToken && m.Module == definition.Module);
        return index < 0 ? null : map.TargetMethods[index];
    }

    private static MethodInfo? ByOverride(Type type, MethodInfo definition)
    {
        var slot = definition.GetBaseDefinition();
        for (var t = type; t is not null; t = t.BaseType)
        {
            foreach (var candidate in t.GetMethods(All))
            {
                if (candidate.IsVirtual && candidate.Name == definition.Name && candidate.GetBaseDefinition() == slot)
                {
                    return candidate;
                }
            }
        }

        return null;
    }
}
