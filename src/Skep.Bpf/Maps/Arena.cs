namespace Skep.Bpf.Maps;

/// <summary>
/// Memory that programs and process share page by page, with pointers that both follow (<c>BPF_MAP_TYPE_ARENA</c>, kernel 6.9). The process has
/// it mapped; a page comes into being when it is touched, or when a program asks for it. It must be bound before a program that uses it is loaded.
/// </summary>
public sealed unsafe class Arena : BpfMap
{
    /// <summary>Describes an arena.</summary>
    /// <param name="pages">Size in pages, at most 4 GiB.</param>
    /// <param name="name">Name of the map.</param>
    /// <param name="flags"><see cref="MapFlags.FaultOnAbsentPage"/>: only programs make pages.</param>
    public Arena(uint pages, string? name = null, MapFlags flags = MapFlags.None)
        : base(MapKind.Arena, 0, 0, pages, flags | MapFlags.Mmapable, name)
    {
    }

    /// <summary>Null: there are no keys.</summary>
    public override Type? KeyType => null;

    /// <summary>Bytes.</summary>
    public override Type ValueType => typeof(byte);

    /// <summary>Bytes of the arena.</summary>
    public ulong Length => (ulong)MaxEntries * (uint)Environment.SystemPageSize;

    /// <summary>First byte, in the process; programs know the same place by the lower 32 bits of the address.</summary>
    public byte* Address => Storage.Memory;
}
