using Skep.Bpf.Programs;

namespace Skep.Bpf.Programming;

/// <summary>What a value read from a program's context is, so that the compiler keeps its provenance.</summary>
public enum ContextValue
{
    /// <summary>A plain number.</summary>
    Scalar,
    /// <summary>The first byte of the packet (<c>PTR_TO_PACKET</c>).</summary>
    Packet,
    /// <summary>One past the last directly readable byte of the packet (<c>PTR_TO_PACKET_END</c>).</summary>
    PacketEnd,
    /// <summary>The start of packet metadata (<c>PTR_TO_PACKET_META</c>).</summary>
    PacketMeta,
}

/// <summary>
/// Marks a getter that in the kernel is one load from the program's context, or a setter that is one store; in the process its body runs.
/// An accessor with an index, which is a constant, means the element of an array that begins at the offset.
/// </summary>
/// <param name="offset">Byte offset in the kernel's context struct (<c>include/uapi/linux/bpf.h</c>).</param>
/// <param name="size">Width of the load in bytes: 1, 2, 4 or 8.</param>
/// <param name="value">What the loaded value is.</param>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ContextFieldAttribute(int offset, int size, ContextValue value = ContextValue.Scalar) : Attribute
{
    /// <summary>Byte offset in the kernel's context struct.</summary>
    public int Offset { get; } = offset;
    /// <summary>Width of the load in bytes.</summary>
    public int Size { get; } = size;
    /// <summary>What the loaded value is.</summary>
    public ContextValue Value { get; } = value;
}

/// <summary>
/// Marks a method that in the kernel is a call of a BPF helper; in the process its body runs.
/// The arguments are passed in order, an instance first (a map becomes a map reference, a context its pointer);
/// <c>in</c>, <c>ref</c> and <c>out</c> arguments are passed by address.
/// </summary>
/// <param name="id">Number of the helper (<c>enum bpf_func_id</c>).</param>
[AttributeUsage(AttributeTargets.Method)]
public sealed class KernelHelperAttribute(int id) : Attribute
{
    /// <summary>Number of the helper (<c>enum bpf_func_id</c>).</summary>
    public int Id { get; } = id;
    /// <summary>The helper may move packet data: pointers into the packet obtained before are dead after it.</summary>
    public bool ClobbersPacket { get; init; }
    /// <summary>What the call puts into a variable on the stack must be given back on every path.</summary>
    public bool Acquires { get; init; }
    /// <summary>The call takes back what another put into the variable on the stack.</summary>
    public bool Releases { get; init; }
    /// <summary>First kernel that has the helper, as "5.8"; empty when every supported kernel has it.</summary>
    public string Since { get; init; } = "";
}

/// <summary>Marks a type whose by-reference value is a program's context (<c>PTR_TO_CTX</c>).</summary>
/// <param name="name">Name of the struct in the kernel; empty when it is an array of words.</param>
[AttributeUsage(AttributeTargets.Struct)]
public sealed class KernelContextAttribute(string name = "") : Attribute
{
    /// <summary>Name of the struct in the kernel; empty when it is an array of words.</summary>
    public string Name { get; } = name;
}

/// <summary>Marks a helper or a field of a context that only some types of programs have: elsewhere it is refused when compiled.</summary>
/// <param name="types">The types that have it.</param>
[AttributeUsage(AttributeTargets.Method)]
public sealed class OnlyForAttribute(params ProgramType[] types) : Attribute
{
    /// <summary>The types that have it.</summary>
    public IReadOnlyList<ProgramType> Types { get; } = types;
}
