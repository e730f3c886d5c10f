using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Maps;

/// <summary>
/// A map from keys to values. The first group of members is for kernel programs, where each is one helper call;
/// the second for the process that owns the map.
/// </summary>
/// <typeparam name="TKey">Key struct; padding counts as part of the key.</typeparam>
/// <typeparam name="TValue">Value struct.</typeparam>
public abstract unsafe partial class KeyedMap<TKey, TValue> : BpfMap
    where TKey : unmanaged
    where TValue : unmanaged
{
    private protected KeyedMap(MapKind kind, uint maxEntries, MapFlags flags, string? name)
        : base(kind, SizeOf<TKey>(), SizeOf<TValue>(), maxEntries, flags, name)
    {
    }

    /// <inheritdoc/>
    public sealed override Type KeyType => typeof(TKey);

    /// <inheritdoc/>
    public sealed override Type ValueType => typeof(TValue);

    /// <summary>
    /// Program side: the live value under <paramref name="key"/> (<c>bpf_map_lookup_elem</c>), or a null reference:
    /// test it with <see cref="Unsafe.IsNullRef{T}"/> before use. Per-CPU kinds give the value of this CPU.
    /// </summary>
    [KernelHelper(1)]
    public ref TValue Find(scoped in TKey key)
    {
        fixed (TKey* k = &key)
        {
            return ref *(TValue*)Storage.Find((byte*)k);
        }
    }

    /// <summary>Program side: insert or replace (<c>bpf_map_update_elem</c>). 0 or a negative errno.</summary>
    [KernelHelper(2)]
    public int Update(in TKey key, in TValue value, UpdateMode mode)
    {
        fixed (TKey* k = &key)
        fixed (TValue* v = &value)
        {
            return Storage.Update((byte*)k, (byte*)v, (ulong)mode);
        }
    }

    /// <summary>Program side: remove (<c>bpf_map_delete_elem</c>). 0 or a negative errno.</summary>
    [KernelHelper(3)]
    public int Delete(in TKey key)
    {
        fixed (TKey* k = &key)
        {
            return Storage.Delete((byte*)k);
        }
    }

    /// <summary>User side: removes an entry; false when there was none.</summary>
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

    /// <summary>
    /// User side: removes the entries that are there of many, by one call where the kernel has batches (hash tables, 5.6); returns how many there were.
    /// </summary>
    /// <exception cref="BpfException">The kernel refused; some of the entries may be gone.</exception>
    public int RemoveAll(ReadOnlySpan<TKey> keys)
    {
        var status = Storage.RemoveBatch(MemoryMarshal.AsBytes(keys), keys.Length);
        return status >= 0 ? status : throw BpfException.ForMap(this, "batch delete", status);
    }

    /// <summary>
    /// User side: all keys present now; entries that come or go meanwhile may be missed or repeated. Ends after <see cref="BpfMap.MaxEntries"/>
    /// keys at the latest: one that was removed meanwhile sends the kernel back to the first.
    /// </summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public IEnumerable<TKey> Keys
    {
        get
        {
            var status = FirstKey(out var key);

            // Storage of attachments has no number of entries of its own.
            var most = MaxEntries == 0 ? uint.MaxValue : MaxEntries;
            for (var seen = 0u; status == 0 && seen < most; seen++)
            {
                yield return key;
                status = NextKey(key, out key);
            }

            if (status is not 0 and not -Errno.NoEntry)
            {
                throw BpfException.ForMap(this, "next key", status);
            }
        }
    }

    private protected static ReadOnlySpan<byte> Bytes<T>(in T value)
        where T : unmanaged => MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value));

    private protected static Span<byte> WritableBytes<T>(ref T value)
        where T : unmanaged => MemoryMarshal.AsBytes(new Span<T>(ref value));

    private int FirstKey(out TKey first)
    {
        first = default;
        return Storage.NextKey(default, WritableBytes(ref first));
    }

    private int NextKey(TKey key, out TKey next)
    {
        next = default;
        return Storage.NextKey(Bytes(in key), WritableBytes(ref next));
    }
}
