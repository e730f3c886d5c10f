using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// The connections there are: one table for all CPUs and both directions, without a lock. The same code runs in programs and, over mapped memory, in the process. A record
/// belongs to a set of seven, which the hash of what both directions know of a connection says: the client's address, port and protocol. So a packet is looked for with its
/// sender as the client and then with its receiver. One word of a set says all that a search needs for the records that are not it:
/// <code>
/// bytes 0-6 tag of each way: odd, from the hash; 0 is free, 2 is being written   byte 7 records of this set that are in their other set; from 128 on for good
/// </code>
/// A packet that is no connection's costs two loads of such a word. What begins is driven out when a set is full, the oldest first; what is established is never.
/// </summary>
internal sealed partial class Tracker(BalancerMaps maps, bool translates)
{
    private readonly ArrayMap<Connection> _records = maps.Connections;
    private readonly ArrayMap<ulong> _sets = maps.ConnectionSets;
    private readonly Global<ulong> _seed = maps.Direct.Seed;
    private readonly uint _count = maps.ConnectionSets.MaxEntries;
    private readonly bool _translates = translates;

    /// <summary>Records of a set.</summary>
    internal const uint Ways = 7;

    // Beside the number of what was found: the packet is the client's; it is the backend's.
    private const ulong IsForward = 1UL << 32, IsReply = 1UL << 33;

    private const ulong Ones = 0x0001010101010101, Highs = 0x0080808080808080;

    // Of a client's packet and of a backend's: ports, protocol and the kind that it must not be.
    private const ulong ForwardEnds = 0x80FF_0000_FFFF_FFFF, ReplyEnds = 0x40FF_FFFF_0000_FFFF;

    /// <summary>Whether there are connections whose client's address is replaced.</summary>
    internal bool Translates => _translates;

    /// <summary>Whether a search found the connection of a client's packet.</summary>
    internal static bool FoundForward(ulong found) => (found & IsForward) != 0;

    /// <summary>Whether a search found the connection of a backend's packet.</summary>
    internal static bool FoundReply(ulong found) => (found & IsReply) != 0;

    /// <summary>The record of that number, a null reference when there cannot be one.</summary>
    internal ref Connection At(ulong number) => ref _records.Find((uint)number);

    /// <summary>The connection of a packet: <see cref="FoundForward"/>, <see cref="FoundReply"/> or 0, and its number below.</summary>
    internal ulong Find(in IpAddress source, in IpAddress destination, uint rawPorts, uint protocol)
    {
        // One after the other and not one in the other: the stack is short.
        var found = SearchForward(source.RawUpper, source.RawLower, destination.RawUpper, destination.RawLower, rawPorts | ((ulong)protocol << 48));
        return found != 0 ? found : FindReply(in source, in destination, rawPorts, protocol);
    }

    /// <summary>The connection of a packet as its backend sends it: <see cref="FoundReply"/> or 0, and its number below.</summary>
    internal ulong FindReply(in IpAddress source, in IpAddress destination, uint rawPorts, uint protocol) =>
        SearchReply(source.RawUpper, source.RawLower, destination.RawUpper, destination.RawLower, rawPorts | ((ulong)protocol << 48));

    /// <summary>Records that answers of a backend may belong to, whole or left over: more than one for a moment, when two CPUs enter the same ends at once.</summary>
    internal uint CountReplies(in IpAddress source, in IpAddress destination, uint rawPorts, uint protocol) =>
        CountReplies(source.RawUpper, source.RawLower, destination.RawUpper, destination.RawLower, rawPorts | ((ulong)protocol << 48));

    /// <summary>Where a client's records are: the set in the lower half, the other set in the upper half, both as fractions; the tag in the lowest bits.</summary>
    internal ulong HashOf(in IpAddress client, NetworkUInt16 port, IpProtocol protocol) => Hash(client.RawUpper, client.RawLower, port.Raw | ((ulong)(uint)protocol << 48));

    [GlobalFunction]
    private ulong SearchForward(ulong sourceUpper, ulong sourceLower, ulong destinationUpper, ulong destinationLower, ulong ends)
    {
        var hash = Hash(sourceUpper, sourceLower, ends & 0x00FF_0000_0000_FFFF);
        var set = FirstOf(hash);
        ref var word = ref _sets.Find(set);
        if (Unsafe.IsNullRef(ref word))
        {
            return 0;
        }

        var found = ForwardIn(word, set, hash, sourceUpper, sourceLower, destinationUpper, destinationLower, ends);
        if (found != 0 || word >> 56 == 0)
        {
            return found;
        }

        set = SecondOf(hash);
        ref var other = ref _sets.Find(set);
        return Unsafe.IsNullRef(ref other) ? 0 : ForwardIn(other, set, hash, sourceUpper, sourceLower, destinationUpper, destinationLower, ends);
    }

    [GlobalFunction]
    private ulong SearchReply(ulong sourceUpper, ulong sourceLower, ulong destinationUpper, ulong destinationLower, ulong ends)
    {
        ends = Reversed(ends);
        var hash = Hash(destinationUpper, destinationLower, ends & 0x00FF_0000_0000_FFFF);
        var set = FirstOf(hash);
        ref var word = ref _sets.Find(set);
        if (Unsafe.IsNullRef(ref word))
        {
            return 0;
        }

        var found = ReplyIn(word, set, hash, sourceUpper, sourceLower, destinationUpper, destinationLower, ends);
        if (found != 0 || word >> 56 == 0)
        {
            return found;
        }

        set = SecondOf(hash);
        ref var other = ref _sets.Find(set);
        return Unsafe.IsNullRef(ref other) ? 0 : ReplyIn(other, set, hash, sourceUpper, sourceLower, destinationUpper, destinationLower, ends);
    }

    private ulong ForwardIn(ulong word, uint set, ulong hash, ulong clientUpper, ulong clientLower, ulong virtualUpper, ulong virtualLower, ulong ends)
    {
        var candidates = CandidatesIn(word, hash);
        for (var i = 0; i < Ways && candidates != 0; i++)
        {
            var number = (set * Ways) + WayOf(candidates);
            candidates &= candidates - 1;
            ref var record = ref _records.Find(number);
            if (!Unsafe.IsNullRef(ref record)
                && ((record.Ends ^ ends) & ForwardEnds) == 0
                && record.Client.RawLower == clientLower && record.Virtual.RawLower == virtualLower
                && record.Client.RawUpper == clientUpper && record.Virtual.RawUpper == virtualUpper
                && (!_translates || record.Kind == ConnectionKind.Plain || IsMutual(number, record.Link)))
            {
                return number | IsForward;
            }
        }

        return 0;
    }

    private ulong ReplyIn(ulong word, uint set, ulong hash, ulong backendUpper, ulong backendLower, ulong clientUpper, ulong clientLower, ulong ends)
    {
        var candidates = CandidatesIn(word, hash);
        for (var i = 0; i < Ways && candidates != 0; i++)
        {
            var number = (set * Ways) + WayOf(candidates);
            candidates &= candidates - 1;
            ref var record = ref _records.Find(number);
            if (!Unsafe.IsNullRef(ref record) && IsReplyOf(in record, backendUpper, backendLower, clientUpper, clientLower, ends))
            {
                if (!_translates || record.Kind == ConnectionKind.Plain)
                {
                    return number | IsReply;
                }

                if (IsMutual(number, record.Link))
                {
                    return record.Link | IsReply;
                }
            }
        }

        return 0;
    }

    [GlobalFunction]
    private uint CountReplies(ulong sourceUpper, ulong sourceLower, ulong destinationUpper, ulong destinationLower, ulong ends)
    {
        ends = Reversed(ends);
        var hash = Hash(destinationUpper, destinationLower, ends & 0x00FF_0000_0000_FFFF);
        var count = 0u;
        for (var turn = 0; turn < 2; turn++)
        {
            var set = turn == 0 ? FirstOf(hash) : SecondOf(hash);
            ref var word = ref _sets.Find(set);
            if (Unsafe.IsNullRef(ref word))
            {
                break;
            }

            for (var way = 0u; way < Ways; way++)
            {
                ref var record = ref _records.Find((set * Ways) + way);
                if (!Unsafe.IsNullRef(ref record) && ((word >> (int)(8 * way)) & 0xFF) == TagOf(hash) && IsReplyOf(in record, sourceUpper, sourceLower, destinationUpper, destinationLower, ends))
                {
                    count++;
                }
            }

            if (FirstOf(hash) == SecondOf(hash))
            {
                break;
            }
        }

        return count;
    }

    private static bool IsReplyOf(in Connection record, ulong backendUpper, ulong backendLower, ulong clientUpper, ulong clientLower, ulong ends) =>
        ((record.Ends ^ ends) & ReplyEnds) == 0
        && record.Client.RawLower == clientLower && record.Backend.RawLower == backendLower
        && record.Client.RawUpper == clientUpper && record.Backend.RawUpper == backendUpper;

    // One without the other, which is left over when two CPUs replace records at once, is as good as absent; the sweep takes it away.
    private bool IsMutual(uint number, uint link)
    {
        ref var other = ref _records.Find(link);
        return !Unsafe.IsNullRef(ref other) && other.Link == number && other.Kind != ConnectionKind.Plain;
    }

    // The lowest one is exact; above a true one there may be false ones, which the comparison of the record finds out.
    private static ulong CandidatesIn(ulong word, ulong hash)
    {
        var differences = word ^ (TagOf(hash) * Ones);
        return (differences - Ones) & ~differences & Highs;
    }

    // Way of the lowest mark: bit 8 w shifts the constant so that its byte 7 - w, which is w, comes to the top.
    private static uint WayOf(ulong marks) => (uint)((((marks & (0 - marks)) >> 7) * 0x0001020304050607) >> 56);

    private ulong Hash(ulong clientUpper, ulong clientLower, ulong portAndProtocol) => FlowHash.Of(clientUpper, clientLower, portAndProtocol, _seed.Value, _seed.Value);

    private uint FirstOf(ulong hash) => (uint)(((ulong)(uint)hash * _count) >> 32);

    private uint SecondOf(ulong hash) => (uint)(((hash >> 32) * _count) >> 32);

    private static ulong TagOf(ulong hash) => (hash & 0xFF) | 1;

    // The ends of a backend's packet at the places where the record has them.
    private static ulong Reversed(ulong ends) => (ends & 0x00FF_0000_0000_0000) | ((ends & 0xFFFF) << 32) | ((ends >> 16) & 0xFFFF);
}
