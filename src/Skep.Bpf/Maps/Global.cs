using Skep.Bpf.Programming;

namespace Skep.Bpf.Maps;

/// <summary>
/// A variable shared by programs and process: an array map of one entry that both sides address directly,
/// the program by a constant address, the process through mapped memory (kernel 5.5).
/// </summary>
public sealed unsafe class Global<T> : BpfMap
    where T : unmanaged
{
    /// <summary>Describes the variable, zero at first.</summary>
    public Global(string? name = null)
        : base(MapKind.Array, sizeof(uint), SizeOf<T>(), 1, MapFlags.Mmapable, name)
    {
    }

    /// <inheritdoc/>
    public override Type KeyType => typeof(uint);

    /// <inheritdoc/>
    public override Type ValueType => typeof(T);

    /// <summary>Both sides: the variable itself, never null.</summary>
    public ref T Value
    {
        [MapValue]
        get
        {
            uint zero = 0;
            return ref *(T*)Storage.Find((byte*)&zero);
        }
    }
}

/// <summary>Marks the getter that in the kernel is the constant address of a map's first value (<c>BPF_PSEUDO_MAP_VALUE</c>).</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class MapValueAttribute : Attribute;
