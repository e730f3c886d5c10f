using Skep.Bpf.Maps;

namespace Skep.KernelTests;

/// <summary>The test loads a program of these kinds, attaches it, and observes what it does. Names are those of the table of program kinds.</summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
internal sealed class ProvesAttribute(params string[] kinds) : Attribute
{
    public IReadOnlyList<string> Kinds { get; } = kinds;
}

/// <summary>The test has a map of these kinds in the kernel, and observes what it is for.</summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
internal sealed class ProvesMapAttribute(params MapKind[] kinds) : Attribute
{
    public IReadOnlyList<MapKind> Kinds { get; } = kinds;
}
