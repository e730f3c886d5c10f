namespace Skep.Bpf.Compiler.Ir;

/// <summary>What is known about a helper call beyond its operands.</summary>
/// <param name="Name">Name of the C# method, for dumps and messages.</param>
/// <param name="Arguments">One per operand.</param>
internal sealed record HelperCall(string Name, HelperArgument[] Arguments)
{
    public override string ToString() => Name;
}

/// <summary>How a helper treats an argument.</summary>
/// <param name="Extent">Bytes accessed when the argument is an address; 0 when unknown.</param>
/// <param name="ReadOnly">The helper does not write through it.</param>
internal readonly record struct HelperArgument(int Extent, bool ReadOnly);
