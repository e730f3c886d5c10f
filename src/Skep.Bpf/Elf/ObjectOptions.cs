using Skep.Bpf.Btf;

namespace Skep.Bpf.Elf;

/// <summary>What an object is read against. What is null is that of the running kernel.</summary>
public sealed record ObjectOptions
{
    /// <summary>Types of the kernel that will run the programs.</summary>
    public KernelTypes? KernelTypes { get; init; }

    /// <summary>Its build options: what stands right of the equals sign, by name (<c>CONFIG_HZ</c>).</summary>
    public IReadOnlyDictionary<string, string>? KernelConfiguration { get; init; }

    /// <summary>Its version.</summary>
    public Version? KernelVersion { get; init; }

    /// <summary>Its symbols without types: addresses by name (<c>/proc/kallsyms</c>).</summary>
    public Func<string, ulong?>? KernelSymbols { get; init; }
}
