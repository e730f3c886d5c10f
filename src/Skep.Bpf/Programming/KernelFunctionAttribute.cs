namespace Skep.Bpf.Programming;

/// <summary>
/// Marks a static method that in the kernel is a call of a kernel function (kfunc, kernel 5.13), found by its name in the BTF of the kernel or of
/// a loaded module; in the process its body runs, so that the body is what the twin believes the kernel does.
/// </summary>
/// <param name="name">Name of the function.</param>
[AttributeUsage(AttributeTargets.Method)]
public sealed class KernelFunctionAttribute(string name) : Attribute
{
    /// <summary>Name of the function.</summary>
    public string Name { get; } = name;

    /// <summary>First kernel that has the function, as "6.4"; empty when every supported kernel has it, or nobody has looked.</summary>
    public string Since { get; init; } = "";

    /// <summary>
    /// What the function gives, or makes of a variable on the stack, must be given back by <see cref="Releases"/> functions on every path (<c>KF_ACQUIRE</c>,
    /// <c>KF_ITER_NEW</c>).
    /// </summary>
    public bool Acquires { get; init; }

    /// <summary>The function takes back its first argument, which is dead afterwards (<c>KF_RELEASE</c>).</summary>
    public bool Releases { get; init; }
}
