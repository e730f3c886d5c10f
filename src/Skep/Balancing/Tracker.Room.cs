using System.Runtime.CompilerServices;
using Skep.Bpf.Programming;

namespace Skep.Balancing;

/// <summary>
/// Room for records. Who claimed one has it for himself until it is published: nobody finds, moves or frees it. Where there is no connection, <see cref="Connection.Ports"/> is 0.
/// </summary>
internal sealed partial class Tracker
{
    private const ulong Claimed = 1UL << 32, Writing = 2;

    // From here on a count of records in other sets is for good: it cannot wrap, whatever comes.
    private const uint MostAway = 128;

    /// <summary>Claims a record for a connection that begins. Gives 0 when all that it may have is established, else the number of the record and a bit above it.</summary>
    /// <param name="hash">Of the client.</param>
    /// <param name="now">Time as <see cref="Connection.PendingSince"/> has it.</param>
    [GlobalFunction]
    internal ulong Claim(ulong hash, uint now)
    {
        var first = (uint)FirstOf(hash);
        var second = (uint)SecondOf(hash);
        var claimed = ClaimFree(first);
        if (claimed != 0)
        {
            return claimed;
        }

        claimed = ClaimFree(second);
        var isAway = claimed != 0;
        if (!isAway)
        {
            claimed = DriveOut(first, now);
        }

        if (claimed == 0)
        {
            claimed = DriveOut(second, now);
            isAway = true;
        }

        if (claimed == 0)
        {
            claimed = MoveOut(first, now);
            isAway = false;
        }

        if (claimed == 0)
        {
            claimed = MoveOut(second, now);
            isAway = true;
        }

        if (isAway && claimed != 0 && first != second)
        {
            CountAway(first);
        }

        return claimed;
    }

    /// <summary>Lets everybody find a claimed record, which is written. Always 0.</summary>
    [GlobalFunction]
    internal int Publish(uint number)
    {
        ref var record = ref _records.Find(number);
        if (!Unsafe.IsNullRef(ref record))
        {
            Publish(number, HashOf(in record.Client, record.ClientPort, record.Protocol));
        }

        return 0;
    }

    /// <summary>Gives a claimed record back that is written and was not published. Always 0.</summary>
    [GlobalFunction]
    internal int Abandon(uint number)
    {
        ref var record = ref _records.Find(number);
        if (!Unsafe.IsNullRef(ref record))
        {
            Free(number, HashOf(in record.Client, record.ClientPort, record.Protocol));
        }

        return 0;
    }

    private void Publish(uint number, ulong hash)
    {
        var set = number / Ways;
        ref var word = ref _sets.Find(set);
        if (!Unsafe.IsNullRef(ref word))
        {
            Interlocked.Add(ref word, (TagOf(hash) - Writing) << (int)(8 * (number - (set * Ways))));
        }
    }

    private void Free(uint number, ulong hash)
    {
        var set = number / Ways;
        ref var word = ref _sets.Find(set);
        ref var record = ref _records.Find(number);
        if (!Unsafe.IsNullRef(ref word) && !Unsafe.IsNullRef(ref record))
        {
            record.Ports = 0;
            Interlocked.Add(ref word, (~Writing + 1) << (int)(8 * (number - (set * Ways))));
            CountBack(set, hash);
        }
    }

    /// <summary>Forgets a connection, its alias with it. 1, or 0 when somebody else did.</summary>
    [GlobalFunction]
    internal int Release(uint number)
    {
        ref var record = ref _records.Find(number);
        if (Unsafe.IsNullRef(ref record))
        {
            return 0;
        }

        var link = record.Link;
        var isLinked = _translates && record.Kind != ConnectionKind.Plain && IsMutual(number, link);
        var released = ReleaseOne(number);
        if (isLinked)
        {
            ReleaseOne(link);
        }

        return released;
    }

    [GlobalFunction]
    private int ReleaseOne(uint number)
    {
        ref var record = ref _records.Find(number);
        var set = number / Ways;
        ref var word = ref _sets.Find(set);
        if (Unsafe.IsNullRef(ref record) || Unsafe.IsNullRef(ref word))
        {
            return 0;
        }

        var hash = HashOf(in record.Client, record.ClientPort, record.Protocol);
        var shift = (int)(8 * (number - (set * Ways)));
        for (var attempt = 0; attempt < 4; attempt++)
        {
            var before = word;
            if (((before >> shift) & 0xFF) != TagOf(hash))
            {
                return 0;
            }

            if (Interlocked.CompareExchange(ref word, (before & ~(0xFFUL << shift)) | (Writing << shift), before) == before)
            {
                Free(number, hash);
                return 1;
            }
        }

        return 0;
    }

    [GlobalFunction]
    private ulong ClaimFree(uint set)
    {
        ref var word = ref _sets.Find(set);
        if (Unsafe.IsNullRef(ref word))
        {
            return 0;
        }

        for (var attempt = 0; attempt < 4; attempt++)
        {
            var before = word;
            var free = (before - Ones) & ~before & Highs;
            if (free == 0)
            {
                return 0;
            }

            var mark = (free & (0 - free)) >> 6;
            if (Interlocked.CompareExchange(ref word, before | mark, before) == before)
            {
                return ((set * Ways) + WayOf(free)) | Claimed;
            }
        }

        return 0;
    }

    /// <summary>Claims a record whose connection is closed, or else the one that began first of those that begin. What is being written is left alone.</summary>
    [GlobalFunction]
    private ulong DriveOut(uint set, uint now)
    {
        ref var word = ref _sets.Find(set);
        if (Unsafe.IsNullRef(ref word))
        {
            return 0;
        }

        var before = word;
        var oldest = 0UL;
        var number = 0u;
        for (var way = 0u; way < Ways; way++)
        {
            ref var record = ref _records.Find((set * Ways) + way);
            if (Unsafe.IsNullRef(ref record) || ((before >> (int)(8 * way)) & 1) == 0)
            {
                continue;
            }

            var age = AgeOf(in record, (set * Ways) + way, now);
            if (age > oldest)
            {
                oldest = age;
                number = (set * Ways) + way;
            }
        }

        ref var victim = ref _records.Find(number);
        if (oldest == 0 || Unsafe.IsNullRef(ref victim))
        {
            return 0;
        }

        var shift = (int)(8 * (number - (set * Ways)));
        if (Interlocked.CompareExchange(ref word, (before & ~(0xFFUL << shift)) | (Writing << shift), before) != before)
        {
            return 0;
        }

        CountBack(set, HashOf(in victim.Client, victim.ClientPort, victim.Protocol));
        var isLinked = _translates && victim.Kind != ConnectionKind.Plain && IsMutual(number, victim.Link);
        victim.Ports = 0;
        if (isLinked)
        {
            ReleaseOne(victim.Link);
        }

        return number | Claimed;
    }

    // 0 for what stays, and more than all others for what is over.
    private ulong AgeOf(in Connection record, uint number, uint now)
    {
        const ulong Over = 1UL << 33;
        if (_translates && record.Kind == ConnectionKind.Alias)
        {
            ref var main = ref _records.Find(record.Link);
            return Unsafe.IsNullRef(ref main) || main.Link != number || main.Kind != ConnectionKind.Translated || main.IsClosed ? Over
                : main.Stage == ConnectionStage.Established ? 0 : (ulong)(now - main.PendingSince) + 1;
        }

        return record.IsClosed ? Over : record.Stage == ConnectionStage.Established ? 0 : (ulong)(now - record.PendingSince) + 1;
    }

    /// <summary>Moves one of the established connections of a full set to the other set that it may have, and claims its place.</summary>
    [GlobalFunction]
    private ulong MoveOut(uint set, uint now)
    {
        ref var word = ref _sets.Find(set);
        if (Unsafe.IsNullRef(ref word))
        {
            return 0;
        }

        for (var way = 0u; way < Ways; way++)
        {
            var number = (set * Ways) + way;
            ref var record = ref _records.Find(number);
            if (Unsafe.IsNullRef(ref record) || ((word >> (int)(8 * way)) & 1) == 0)
            {
                continue;
            }

            var isLinked = _translates && record.Kind != ConnectionKind.Plain;
            if (isLinked && !IsMutual(number, record.Link))
            {
                continue;
            }

            var hash = HashOf(in record.Client, record.ClientPort, record.Protocol);
            var first = (uint)FirstOf(hash);
            var other = first == set ? (uint)SecondOf(hash) : first;
            if (other == set)
            {
                continue;
            }

            // Programs with source translation have no stack left for more than that.
            var claimed = ClaimFree(other);
            if (claimed == 0 && !_translates)
            {
                claimed = DriveOut(other, now);
            }

            ref var target = ref _records.Find((uint)claimed);
            if (claimed == 0 || Unsafe.IsNullRef(ref target))
            {
                continue;
            }

            // For a moment it is there twice. What is noted in the old place meanwhile is lost, and comes with the next packet.
            Copy(in record, ref target);
            if (first == set)
            {
                CountAway(set);
            }

            Publish((uint)claimed, hash);
            if (isLinked)
            {
                // Until now the old place is the one that is found, from now on the new one.
                ref var partner = ref _records.Find(target.Link);
                if (!Unsafe.IsNullRef(ref partner))
                {
                    partner.Link = (uint)claimed;
                }
            }

            var shift = (int)(8 * way);
            var before = word;
            if (((before >> shift) & 0xFF) == TagOf(hash)
                && Interlocked.CompareExchange(ref word, (before & ~(0xFFUL << shift)) | (Writing << shift), before) == before)
            {
                record.Ports = 0;
                CountBack(set, hash);
                return number | Claimed;
            }

            return 0;
        }

        return 0;
    }

    // Word by word: a whole record at once would pass through the stack, which is short.
    private static void Copy(in Connection record, ref Connection target)
    {
        ref var source = ref Unsafe.As<Connection, ulong>(ref Unsafe.AsRef(in record));
        ref var words = ref Unsafe.As<Connection, ulong>(ref target);
        for (var i = 0; i < 10; i++)
        {
            Unsafe.Add(ref words, i) = Unsafe.Add(ref source, i);
        }
    }

    private void CountAway(uint set)
    {
        ref var word = ref _sets.Find(set);
        if (!Unsafe.IsNullRef(ref word) && word >> 56 < MostAway)
        {
            Interlocked.Add(ref word, 1UL << 56);
        }
    }

    // A record with that hash leaves the set.
    private void CountBack(uint set, ulong hash)
    {
        var first = (uint)FirstOf(hash);
        ref var word = ref _sets.Find(first);
        if (first != set && !Unsafe.IsNullRef(ref word) && word >> 56 is > 0 and < MostAway)
        {
            Interlocked.Add(ref word, 0xFFUL << 56);
        }
    }
}
