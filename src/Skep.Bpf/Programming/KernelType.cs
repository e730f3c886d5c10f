using System.Runtime.CompilerServices;

namespace Skep.Bpf.Programming;

/// <summary>
/// Questions about the types of the kernel at hand. For the compiler the answers are constants: what is done only where a field exists is no
/// part of a program for a kernel without it. In the process the answers are those of the views: all their fields exist.
/// </summary>
public static unsafe class KernelType
{
    /// <summary>
    /// Whether the kernel's struct has the field, as <c>KernelType.Exists(&amp;socket-&gt;IsMptcp)</c>; nothing is read.
    /// A field that is used without this question is a compile error on kernels that lack it.
    /// </summary>
    /// <param name="field">Address of a field of a view.</param>
    [KernelQuery(KernelQuery.FieldExists)]
    public static bool Exists(void* field)
    {
        _ = field;
        return true;
    }

    /// <summary>Whether the kernel has the struct that <typeparamref name="TView"/> is a view of.</summary>
    [KernelQuery(KernelQuery.TypeExists)]
    public static bool Exists<TView>()
        where TView : unmanaged => true;

    /// <summary>Whether the kernel has a function that programs may call, a string constant such as <c>"bpf_task_acquire"</c>: a weak one is called only behind this question.</summary>
    [KernelQuery(KernelQuery.FunctionExists)]
    public static bool Exists(string function)
    {
        _ = function;
        return true;
    }

    /// <summary>Bytes of the kernel's struct that <typeparamref name="TView"/> is a view of; in the process those of the view.</summary>
    [KernelQuery(KernelQuery.TypeSize)]
    public static uint SizeOf<TView>()
        where TView : unmanaged => (uint)Unsafe.SizeOf<TView>();

    /// <summary>Whether the kernel's enumeration has the member, a constant of an enumeration with <see cref="KernelEnumAttribute"/>.</summary>
    [KernelQuery(KernelQuery.ValueExists)]
    public static bool HasValue<TEnum>(TEnum member)
        where TEnum : unmanaged, Enum
    {
        _ = member;
        return true;
    }

    /// <summary>
    /// The number that the kernel gives the member, a constant of an enumeration with <see cref="KernelEnumAttribute"/>. A member the kernel lacks is
    /// a compile error unless <see cref="HasValue"/> was asked first.
    /// </summary>
    [KernelQuery(KernelQuery.Value)]
    public static TEnum ValueOf<TEnum>(TEnum member)
        where TEnum : unmanaged, Enum => member;
}

/// <summary>What a query of <see cref="KernelType"/> asks.</summary>
public enum KernelQuery
{
    /// <summary>Whether a field exists.</summary>
    FieldExists,
    /// <summary>Whether a struct exists.</summary>
    TypeExists,
    /// <summary>Whether a function exists.</summary>
    FunctionExists,
    /// <summary>Size of a struct in bytes.</summary>
    TypeSize,
    /// <summary>Whether a member of an enumeration exists.</summary>
    ValueExists,
    /// <summary>Value of a member of an enumeration.</summary>
    Value,
}

/// <summary>Marks the queries of <see cref="KernelType"/> for the compiler.</summary>
/// <param name="query">What is asked.</param>
[AttributeUsage(AttributeTargets.Method)]
public sealed class KernelQueryAttribute(KernelQuery query) : Attribute
{
    /// <summary>What is asked.</summary>
    public KernelQuery Query { get; } = query;
}
