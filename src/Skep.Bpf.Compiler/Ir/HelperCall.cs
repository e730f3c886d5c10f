namespace Skep.Bpf.Compiler.Ir;

/// <summary>What is known about a call beyond its operands.</summary>
/// <param name="Name">Name of the C# method, for dumps and messages.</param>
/// <param name="Arguments">One per operand.</param>
internal sealed record HelperCall(string Name, HelperArgument[] Arguments)
{
    /// <summary>Number of <c>bpf_probe_read_kernel</c>, which the compiler calls by itself too.</summary>
    public const int ProbeReadKernel = 113;

    /// <summary>The immediate is the number of a kernel function's type, not that of a helper.</summary>
    public bool IsKernelFunction { get; init; }

    /// <summary>Name of the kernel function.</summary>
    public string KernelName { get; init; } = "";

    /// <summary>The operand whose variable on the stack holds something afterwards that must be given back; null for none.</summary>
    public int? Opens { get; init; }

    /// <summary>The operand whose variable on the stack is given back; null for none.</summary>
    public int? Closes { get; init; }

    /// <summary>The result must be given back.</summary>
    public bool Acquires { get; init; }

    /// <summary>The first argument is given back.</summary>
    public bool Releases { get; init; }

    /// <summary>The function of the program that is called; null for a helper.</summary>
    public Function? Target { get; init; }

    /// <summary>A call that comes back only when it has failed; its last operand is the result then.</summary>
    public bool IsTailCall { get; init; }

    /// <summary>The call may change fields of the context.</summary>
    public bool WritesContext { get; init; }

    /// <summary>The call may change memory that it is not given the address of: packet bytes, map values, whatever pointers in memory lead to.</summary>
    public bool WritesMemory { get; init; }

    public override string ToString() => Name;
}

/// <summary>How a call treats an argument.</summary>
/// <param name="Extent">Bytes accessed when the argument is an address; 0 when unknown.</param>
/// <param name="ReadOnly">The call does not write through it.</param>
/// <param name="Keeps">The memory is in use after the call: nothing else may have its place on the stack.</param>
internal readonly record struct HelperArgument(int Extent, bool ReadOnly, bool Keeps = false);
