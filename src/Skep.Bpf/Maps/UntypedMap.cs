namespace Skep.Bpf.Maps;

/// <summary>
/// A map whose key and value types are not known to C#, as those of objects that other people compiled. Entries are bytes
/// (<see cref="BpfMap.Storage"/>); any kind the kernel knows may be described, and the kernel judges the description.
/// </summary>
public sealed class UntypedMap : BpfMap
{
    /// <summary>Describes a map.</summary>
    public UntypedMap(MapKind kind, int keySize, int valueSize, uint maxEntries, MapFlags flags = MapFlags.None, string? name = null)
        : base(kind, keySize, valueSize, maxEntries, flags, name)
    {
    }

    /// <summary>Null: the types are not known.</summary>
    public override Type? KeyType => null;

    /// <summary>Bytes.</summary>
    public override Type ValueType => typeof(byte[]);

    /// <summary>For maps of maps: what the inner maps are like.</summary>
    public UntypedMap? Inner { get; init; }

    internal override BpfMap? InnerTemplate => Inner;

    internal override ulong CreationExtra => Extra;

    /// <summary>Whether the author asked for a pin under the map's name (<c>LIBBPF_PIN_BY_NAME</c>).</summary>
    public bool PinnedByName { get; init; }

    /// <summary>Extra argument that some kinds take (<c>map_extra</c>).</summary>
    public ulong Extra { get; init; }

    /// <summary>The first value at load, or what an arena begins with; empty for zeros.</summary>
    public ReadOnlyMemory<byte> InitialValue { get; internal set; }

    /// <summary>Types of key and value, which the kernel needs for locks, timers and pointers of its own in values.</summary>
    internal MapTypes? Types { get; init; }

    /// <summary>For a struct_ops: what it implements, and with which programs.</summary>
    internal StructOpsLayout? StructOps { get; init; }

    /// <summary>Whether it is not created with the object: its section begins with a question mark.</summary>
    public bool IsOptional { get; init; }

    /// <summary>Whether the map is frozen after <see cref="InitialValue"/> is in: constants, which the verifier folds.</summary>
    public bool IsConstant { get; init; }
}
