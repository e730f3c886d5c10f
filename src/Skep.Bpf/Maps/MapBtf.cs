using Skep.Bpf.Btf;

namespace Skep.Bpf.Maps;

/// <summary>
/// Type information of a map: what lets the kernel, <c>skep bpf</c> and bpftool show entries by their fields. Some kinds demand it
/// (local storage), some refuse it (<c>map_check_no_btf</c> in kernel/bpf/syscall.c).
/// </summary>
internal static class MapBtf
{
    /// <summary>BTF of the map's key and value types and their numbers; null for kinds that take none, and for types BTF cannot say.</summary>
    internal static (byte[] Btf, uint Key, uint Value)? For(BpfMap map)
    {
        if (map is UntypedMap || map.KeyType is not { } key || !Takes(map, key))
        {
            return null;
        }

        var types = new BtfTypeWriter();
        var keyId = types.Add(key);
        var valueId = map.ElementsOfValue == 1 ? types.Add(map.ValueType) : types.AddArray(map.ValueType, map.ElementsOfValue);
        return (types.Build(), keyId, valueId);
    }

    /// <summary>Kinds that hold values of a socket, task, inode or cgroup: the kernel makes none without types.</summary>
    internal static bool IsRequired(MapKind kind) =>
        kind is MapKind.SkStorage or MapKind.InodeStorage or MapKind.TaskStorage or MapKind.CgroupStorage;

    private static bool Takes(BpfMap map, Type key) => map.Kind switch
    {
        MapKind.Hash or MapKind.LruHash or MapKind.PerCpuHash or MapKind.LruPerCpuHash or MapKind.Array or MapKind.PerCpuArray => true,

        // trie_check_btf wants a struct.
        MapKind.LpmTrie => key is { IsPrimitive: false, IsEnum: false },
        _ => IsRequired(map.Kind),
    };
}
