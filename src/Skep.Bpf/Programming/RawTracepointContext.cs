namespace Skep.Bpf.Programming;

/// <summary>Context of a raw tracepoint with typed arguments: an array of 64-bit words, one per argument.</summary>
[KernelContext]
public unsafe struct RawTracepointContext
{
    private readonly ulong* _arguments;

    /// <summary>A context over plain memory.</summary>
    public RawTracepointContext(ulong* arguments) => _arguments = arguments;

    /// <summary>Argument <paramref name="index"/> as a number; the index is a constant.</summary>
    [TracepointArgument]
    public readonly ulong Value(uint index) => _arguments[index];

    /// <summary>Argument <paramref name="index"/> as a pointer to a kernel struct; the index is a constant.</summary>
    [TracepointArgument]
    public readonly T* Pointer<T>(uint index)
        where T : unmanaged => (T*)_arguments[index];
}

/// <summary>Marks the accessors of <see cref="RawTracepointContext"/>: a 64-bit load from the context at eight times the index.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class TracepointArgumentAttribute : Attribute;
