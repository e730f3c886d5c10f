using System.Buffers.Binary;
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
/// A packet that is no connection's costs a load of such a word each time. What begins is driven out when a set is full, the oldest first; what is established is never.
/// </summary>
internal sealed partial class Tracker(BalancerMaps maps, bool translates)
{
    private readonly ArrayMap<Connection> _records = maps.Connections;
    private readonly GlobalArray<ulong> _sets = maps.ConnectionSets;
    private readonly Global<ulong> _seed = maps.Direct.Seed;
    private readonly uint _count = maps.ConnectionSets.Count;
    private readonly bool _translates = translates;

    /// <summary>Records of a set.</summary>
    internal const uint Ways = 7;

    // A search gives the number of the record times four, and whose packet it was: the client's or the backend's.
    private const ulong IsForward = 1, IsReply = 2;

    private const ulong Ones = 0x0001010101010101, Highs = 0x0080808080808080;

    // Of a client's packet and of a backend's: ports, protocol and the kind that it must not be. Of both: what the client's address is hashed with.
    private const ulong ForwardEnds = 0x80FF_FFFF_FFFF_0000, ReplyEnds = 0x40FF_0000_FFFF_FFFF, HashedEnds = ForwardEnds & ReplyEnds;

    /// <summary>Whether there are connections whose client's address is replaced.</summary>
    internal bool Translates => _translates;

    /// <summary>Whether a search found the connection of a client's packet.</summary>
    internal static bool FoundForward(ulong found) => (found & IsForward) != 0;

    /// <summary>Whether a search found the connection of a backend's packet.</summary>
    internal static bool FoundReply(ulong found) => (found & IsReply) != 0;

    /// <summary>Number of the record that a search found.</summary>
    internal static uint NumberOf(ulong found) => (uint)(found >> 2);

    /// <summary>The record of that number, a null reference when there cannot be one.</summary>
    internal ref Connection At(ulong number) => ref _records.Find((uint)number);

    /// <summary>The connection of a packet: <see cref="FoundForward"/>, <see cref="FoundReply"/> or 0, with <see cref="NumberOf"/>.</summary>
    internal ulong Find(in IpAddress source, in IpAddress destination, uint rawPorts, uint protocol)
    {
        // One after the other and not one in the other: the stack is short.
        var found = FindForward(in source, in destination, rawPorts, protocol);
        return found != 0 ? found : FindReply(in source, in destination, rawPorts, protocol);
    }

    /// <summary>The connection of a packet as its client sends it: <see cref="FoundForward"/> or 0, with <see cref="NumberOf"/>.</summary>
    internal ulong FindForward(in IpAddress source, in IpAddress destination, uint rawPorts, uint protocol) =>
        SearchForward(source.RawUpper, source.RawLower, destination.RawUpper, destination.RawLower, ((ulong)rawPorts << 16) | ((ulong)protocol << 48));

    /// <summary>The connection of a packet as its backend sends it: <see cref="FoundReply"/> or 0, with <see cref="NumberOf"/>.</summary>
    internal ulong FindReply(in IpAddress source, in IpAddress destination, uint rawPorts, uint protocol) =>
        SearchReply(destination.RawUpper, destination.RawLower, source.RawUpper, source.RawLower, rawPorts | ((ulong)protocol << 48));

    /// <summary>Records that answers of a backend may belong to, whole or left over: more than one for a moment, when two CPUs enter the same ends at once.</summary>
    internal uint CountReplies(in IpAddress source, in IpAddress destination, uint rawPorts, uint protocol) =>
        CountReplies(destination.RawUpper, destination.RawLower, source.RawUpper, source.RawLower, rawPorts | ((ulong)protocol << 48));

    /// <summary>Where a client's records are: the set in the lower half, the other set in the upper half, both as fractions; the tag between the bits that matter most for these.</summary>
    internal ulong HashOf(in IpAddress client, NetworkUInt16 port, IpProtocol protocol) =>
        Hash(client.RawUpper, client.RawLower, ((ulong)port.Raw << 16) | ((ulong)(uint)protocol << 48));

    [GlobalFunction]
    private ulong SearchForward(ulong clientUpper, ulong clientLower, ulong virtualUpper, ulong virtualLower, ulong ends) =>
        Search(clientUpper, clientLower, virtualUpper, virtualLower, ends, isReply: false);

    [GlobalFunction]
    private ulong SearchReply(ulong clientUpper, ulong clientLower, ulong backendUpper, ulong backendLower, ulong ends) =>
        Search(clientUpper, clientLower, backendUpper, backendLower, ends, isReply: true);

    private ulong Search(ulong clientUpper, ulong clientLower, ulong otherUpper, ulong otherLower, ulong ends, bool isReply)
    {
        var hash = Hash(clientUpper, clientLower, ends);
        var set = FirstOf(hash);
        for (var turn = 0; turn < 2; turn++)
        {
            ref var word = ref _sets.Find((uint)set);
            if (Unsafe.IsNullRef(ref word))
            {
                return 0;
            }

            var candidates = CandidatesIn(word, hash);
            for (var i = 0; i < Ways && candidates != 0; i++)
            {
                var number = (set * Ways) + WayOf(candidates);
                ref var record = ref _records.Find((uint)number);
                if (!Unsafe.IsNullRef(ref record) && IsOf(in record, clientUpper, clientLower, otherUpper, otherLower, ends, isReply))
                {
                    if (!_translates || record.Kind == ConnectionKind.Plain)
                    {
                        return (number << 2) | (isReply ? IsReply : IsForward);
                    }

                    // An alias stands for the connection that it is of.
                    if (IsMutual((uint)number, record.Link))
                    {
                        return isReply ? ((ulong)record.Link << 2) | IsReply : (number << 2) | IsForward;
                    }
                }

                candidates &= candidates - 1;
            }

            if (word >> 56 == 0)
            {
                return 0;
            }

            set = SecondOf(hash);
        }

        return 0;
    }

    [GlobalFunction]
    private uint CountReplies(ulong clientUpper, ulong clientLower, ulong backendUpper, ulong backendLower, ulong ends)
    {
        var hash = Hash(clientUpper, clientLower, ends);
        var count = 0u;
        for (var turn = 0; turn < 2; turn++)
        {
            var set = (uint)(turn == 0 ? FirstOf(hash) : SecondOf(hash));
            ref var word = ref _sets.Find(set);
            if (Unsafe.IsNullRef(ref word))
            {
                break;
            }

            for (var way = 0u; way < Ways; way++)
            {
                ref var record = ref _records.Find((set * Ways) + way);
                if (!Unsafe.IsNullRef(ref record) && ((word >> (int)(8 * way)) & 0xFF) == TagOf(hash)
                    && IsOf(in record, clientUpper, clientLower, backendUpper, backendLower, ends, isReply: true))
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

    // What differs most often first.
    private static bool IsOf(in Connection record, ulong clientUpper, ulong clientLower, ulong otherUpper, ulong otherLower, ulong ends, bool isReply)
    {
        ref readonly var other = ref isReply ? ref record.Backend : ref record.Virtual;
        return ((record.Ports ^ ends) & (isReply ? ReplyEnds : ForwardEnds)) == 0
            && record.Client.RawLower == clientLower && other.RawLower == otherLower
            && record.Client.RawUpper == clientUpper && other.RawUpper == otherUpper;
    }

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

    // Way of the lowest mark: bit 8 w + 7 shifts the constant so that its byte 7 - w, which is w, comes to the top.
    private static ulong WayOf(ulong marks) => ((marks & (0 - marks)) * (0x0001020304050607UL >> 7)) >> 56;

    // The seed is known to this host only: nobody can choose connections that share a set. A multiplication carries upwards only, so between two of them the best bits, which
    // are the upper ones, change places with the others. The record is compared in full: this needs to spread, and not to tell connections apart as FlowHash does.
    private ulong Hash(ulong clientUpper, ulong clientLower, ulong ends)
    {
        var hash = (clientUpper ^ _seed.Value) * 0x9E3779B97F4A7C15;
        hash = (BinaryPrimitives.ReverseEndianness(hash) ^ clientLower) * 0xC2B2AE3D27D4EB4F;
        return (BinaryPrimitives.ReverseEndianness(hash) ^ ((ends & HashedEnds) >> 16)) * 0x165667B19E3779F9;
    }

    private ulong FirstOf(ulong hash) => ((uint)hash * (ulong)_count) >> 32;

    private ulong SecondOf(ulong hash) => ((hash >> 32) * _count) >> 32;

    // Of bits that port and protocol reach, and that hardly tell where the sets are.
    private static ulong TagOf(ulong hash) => ((hash >> 40) & 0xFF) | 1;
}
