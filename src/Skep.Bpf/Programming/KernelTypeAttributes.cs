namespace Skep.Bpf.Programming;

/// <summary>
/// Marks a view of a kernel struct: a C# struct with those of its fields that a program wants. In the kernel every field is where the BTF of the
/// kernel at hand says; in the process the view is plain memory laid out as C# does it, so that a test fills one and hands out its address.
/// </summary>
/// <remarks>
/// A view embeds the view of an embedded struct and lists it first when the kernel does, so that casts between the two hold on both sides.
/// </remarks>
/// <param name="name">Name of the struct or union in the kernel's BTF.</param>
[AttributeUsage(AttributeTargets.Struct)]
public sealed class KernelStructAttribute(string name) : Attribute
{
    /// <summary>Name of the struct or union in the kernel's BTF.</summary>
    public string Name { get; } = name;

    /// <summary>
    /// For a struct that has no name in C: the path of the member of <see cref="Name"/> whose type it is, parts separated by dots, as
    /// <c>icsk_ack</c> of <c>inet_connection_sock</c>. Empty when the struct itself is meant.
    /// </summary>
    public string Member { get; init; } = "";

    /// <summary>
    /// No view but the thing itself, with the kernel's size and place for it: a lock or timer that programs keep in the values of their maps. The
    /// kernel finds it there by its name in the BTF of the map.
    /// </summary>
    public bool IsValue { get; init; }

    /// <summary>A thing of the kernel that is a variable on a program's stack: it is made by a call, not by being zeroed, and cannot be copied.</summary>
    public bool OnStack { get; init; }
}

/// <summary>
/// The kernel's name for a field of a view or for a member of an enumeration. Without it a field in Pascal case has the kernel's name in
/// snake case (<c>SndCwnd</c> is <c>snd_cwnd</c>), and any other name is taken as it is.
/// </summary>
/// <param name="path">Field path below the struct, parts separated by dots, for example <c>__sk_common.skc_daddr</c>; of an enumeration the name of the value.</param>
[AttributeUsage(AttributeTargets.Field)]
public sealed class KernelFieldAttribute(string path) : Attribute
{
    /// <summary>Field path below the struct, parts separated by dots.</summary>
    public string Path { get; } = path;
}

/// <summary>Marks a view of a kernel enumeration, whose values may differ between kernels (<see cref="KernelType.ValueOf"/>).</summary>
/// <param name="name">Name of the enumeration in the kernel's BTF.</param>
[AttributeUsage(AttributeTargets.Enum)]
public sealed class KernelEnumAttribute(string name) : Attribute
{
    /// <summary>Name of the enumeration in the kernel's BTF.</summary>
    public string Name { get; } = name;
}
