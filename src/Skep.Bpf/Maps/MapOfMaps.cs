using System.Runtime.InteropServices;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Maps;

/// <summary>Array of maps (<c>BPF_MAP_TYPE_ARRAY_OF_MAPS</c>, kernel 4.12).</summary>
public sealed class ArrayOfMaps<TInner>(uint maxEntries, TInner template, string? name = null)
    : MapOfMaps<uint, TInner>(MapKind.ArrayOfMaps, maxEntries, template, MapFlags.None, name)
    where TInner : BpfMap;

/// <summary>Hash table of maps (<c>BPF_MAP_TYPE_HASH_OF_MAPS</c>, kernel 4.12).</summary>
public sealed class HashOfMaps<TKey, TInner>(uint maxEntries, TInner template, string? name = null, MapFlags flags = MapFlags.None)
    : MapOfMaps<TKey, TInner>(MapKind.HashOfMaps, maxEntries, template, flags, name)
    where TKey : unmanaged
    where TInner : BpfMap;

/// <summary>
/// A map whose values are maps. Programs look up an inner map and work on it; the process exchanges a whole inner map at once, so that programs
/// see either the old table or the new one, never half of each.
/// </summary>
/// <typeparam name="TKey">Key struct.</typeparam>
/// <typeparam name="TInner">
/// Kind of the inner maps. All must be like the template in kind, sizes and flags; the number of entries may differ, of arrays only with
/// <see cref="MapFlags.InnerMap"/>.
/// </typeparam>
public abstract unsafe class MapOfMaps<TKey, TInner> : BpfMap
    where TKey : unmanaged
    where TInner : BpfMap
{
    private readonly TInner _template;

    private protected MapOfMaps(MapKind kind, uint maxEntries, TInner template, MapFlags flags, string? name)
        : base(kind, SizeOf<TKey>(), sizeof(uint), maxEntries, flags, name)
    {
        ArgumentNullException.ThrowIfNull(template);
        _template = template;
    }

    /// <inheritdoc/>
    public sealed override Type KeyType => typeof(TKey);

    /// <summary>The type of the inner maps.</summary>
    public sealed override Type ValueType => typeof(TInner);

    internal sealed override BpfMap InnerTemplate => _template;

    /// <summary>Program side: the inner map under <paramref name="key"/> (<c>bpf_map_lookup_elem</c>), or null: test it before use.</summary>
    [KernelHelper(1)]
    public TInner? Find(in TKey key)
    {
        fixed (TKey* k = &key)
        {
            return (TInner?)Storage.FindMap((byte*)k);
        }
    }

    /// <summary>
    /// User side: puts <paramref name="inner"/> under the key, in place of what is there. An inner map without storage gets some. Programs that
    /// run already finish on the old map; the call returns when none of them is left.
    /// </summary>
    /// <exception cref="BpfException">The kernel refused: EINVAL when the inner map is not like the template.</exception>
    public void Set(in TKey key, TInner inner)
    {
        ArgumentNullException.ThrowIfNull(inner);
        var status = Storage.WriteMap(Bytes(in key), inner, (ulong)UpdateMode.Any);
        if (status < 0)
        {
            throw BpfException.ForMap(this, $"putting in map '{inner.Name}'", status);
        }
    }

    /// <summary>User side: takes the inner map away from programs; false when there was none.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public bool Remove(in TKey key)
    {
        var status = Storage.Remove(Bytes(in key));
        return status switch
        {
            0 => true,
            -Errno.NoEntry => false,
            _ => throw BpfException.ForMap(this, "delete", status),
        };
    }

    /// <summary>User side: number in the kernel of the inner map under the key; false when there is none.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public bool TryGetId(in TKey key, out uint id)
    {
        id = 0;
        var status = Storage.Read(Bytes(in key), MemoryMarshal.AsBytes(new Span<uint>(ref id)));
        return status switch
        {
            0 => true,
            -Errno.NoEntry => false,
            _ => throw BpfException.ForMap(this, "lookup", status),
        };
    }

    private static ReadOnlySpan<byte> Bytes(in TKey key) => MemoryMarshal.AsBytes(new ReadOnlySpan<TKey>(in key));
}
