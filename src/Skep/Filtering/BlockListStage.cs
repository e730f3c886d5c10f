using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Filtering;

/// <summary>
/// Kernel half of the block list: one hash lookup for the exact address and, only when prefixes are in use, one trie lookup.
/// The clock is read only for rules that expire.
/// </summary>
public sealed class BlockListStage(HashMap<IpAddress, BlockRule> addresses, LpmTrie<PrefixKey, BlockRule>? prefixes)
{
    private readonly HashMap<IpAddress, BlockRule> _addresses = addresses;
    private readonly LpmTrie<PrefixKey, BlockRule>? _prefixes = prefixes;

    /// <summary>Whether packets from <paramref name="source"/> are to be dropped; counts them on the rule.</summary>
    /// <param name="source">Sender.</param>
    /// <param name="packets">Packets it was on the wire.</param>
    /// <param name="bytes">Bytes of these.</param>
    public bool IsBlocked(in IpAddress source, uint packets, uint bytes)
    {
        ref var exact = ref _addresses.Find(in source);
        if (!Unsafe.IsNullRef(ref exact) && Applies(ref exact, packets, bytes))
        {
            return true;
        }

        if (_prefixes is null)
        {
            return false;
        }

        var key = new PrefixKey(in source, 128);
        ref var prefix = ref _prefixes.Find(in key);
        return !Unsafe.IsNullRef(ref prefix) && Applies(ref prefix, packets, bytes);
    }

    private static bool Applies(ref BlockRule rule, uint packets, uint bytes)
    {
        if (rule.ExpiresAt != 0 && Helper.KtimeGetCoarseNs() >= rule.ExpiresAt)
        {
            return false;
        }

        Interlocked.Add(ref rule.Packets, packets);
        Interlocked.Add(ref rule.Bytes, bytes);
        return true;
    }
}
