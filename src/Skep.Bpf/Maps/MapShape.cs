namespace Skep.Bpf.Maps;

/// <summary>What the kernel knows of a map when it makes it.</summary>
/// <param name="Kind">Kind.</param>
/// <param name="KeySize">Bytes of a key.</param>
/// <param name="ValueSize">Bytes of a value, of one CPU for per-CPU kinds.</param>
/// <param name="MaxEntries">Most entries.</param>
public readonly record struct MapShape(MapKind Kind, int KeySize, int ValueSize, uint MaxEntries)
{
    /// <summary>Whether keys are numbers from 0 on, and every one of them has a value.</summary>
    public bool IsArray => Kind is MapKind.Array or MapKind.PerCpuArray;

    /// <summary>Whether every CPU has a value of its own.</summary>
    public bool IsPerCpu => Kind is MapKind.PerCpuArray or MapKind.PerCpuHash or MapKind.LruPerCpuHash;

    /// <summary>Whether entries can be read one by one and written under their keys.</summary>
    public bool HasEntries => IsArray || Kind is MapKind.Hash or MapKind.LruHash or MapKind.PerCpuHash or MapKind.LruPerCpuHash or MapKind.LpmTrie;

    /// <summary>The shape of a described map.</summary>
    public static MapShape Of(BpfMap map)
    {
        ArgumentNullException.ThrowIfNull(map);
        return new(map.Kind, map.KeySize, map.ValueSize, map.MaxEntries);
    }

    /// <summary>The shape of a map in the kernel.</summary>
    public static MapShape Of(KernelMapStorage storage)
    {
        ArgumentNullException.ThrowIfNull(storage);
        return new(storage.Kind, storage.KeySize, storage.ValueSize, storage.MaxEntries);
    }
}
