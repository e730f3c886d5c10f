namespace Skep.Bpf.Programming;

/// <summary>
/// A table of functions that the kernel calls (struct_ops, kernel 5.6), as an object: every method of a base class marked with
/// <see cref="StructOpsMemberAttribute"/> that a derived class overrides becomes a program, every marked property a value of the table.
/// The object is frozen as other programs are.
/// </summary>
/// <remarks>A new table needs only an abstract class like <see cref="TcpCongestionControl"/>: parameters are checked against the kernel's BTF.</remarks>
public abstract class StructOps : BpfProgram
{
    /// <summary>Name of the kernel's struct, for example <c>tcp_congestion_ops</c>.</summary>
    public abstract string Struct { get; }

    /// <inheritdoc/>
    public sealed override string Section => "struct_ops/" + Struct;
}

/// <summary>Says which member of the kernel's struct a method or property of a <see cref="StructOps"/> is.</summary>
/// <param name="name">Name of the member.</param>
[AttributeUsage(AttributeTargets.Method | AttributeTargets.Property)]
public sealed class StructOpsMemberAttribute(string name) : Attribute
{
    /// <summary>Name of the member.</summary>
    public string Name { get; } = name;
}
