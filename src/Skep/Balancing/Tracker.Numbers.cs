using System.Numerics;

namespace Skep.Balancing;

/// <summary>User side: walking the table, and entering what comes from another one.</summary>
internal sealed partial class Tracker
{
    /// <summary>User side: numbers of all records that can be found.</summary>
    internal IEnumerable<uint> Numbers()
    {
        for (var set = 0u; set < _count; set++)
        {
            var word = Volatile.Read(ref _sets.Entries[(int)set]);
            for (var way = 0u; way < Ways && word != 0; way++)
            {
                if (IsPublished(word, way))
                {
                    yield return (set * Ways) + way;
                }
            }
        }
    }

    /// <summary>User side: how many there are.</summary>
    internal long Count()
    {
        var count = 0L;
        foreach (var word in _sets.Entries)
        {
            count += BitOperations.PopCount(word & Ones);
        }

        return count;
    }

    /// <summary>User side: whether the record of a way can be found.</summary>
    internal static bool IsPublished(ulong word, uint way) => ((word >> (int)(8 * way)) & 1) != 0;

    /// <summary>User side: whether the other half of a connection with source translation is not there, or another one's.</summary>
    internal bool IsLeftOver(uint number)
    {
        ref readonly var record = ref At(number);
        return record.Kind != ConnectionKind.Plain
            && (!IsMutual(number, record.Link) || !IsPublished(_sets.Entries[(int)(record.Link / Ways)], record.Link % Ways));
    }

    /// <summary>User side: enters a connection of another table unless it is there; false when it finds no room.</summary>
    /// <param name="connection">The connection.</param>
    /// <param name="alias">With source translation, its alias; else whatever.</param>
    internal bool TryEnter(in Connection connection, in Connection alias)
    {
        if (FoundForward(Find(in connection.Client, in connection.Virtual, connection.RawPorts, (uint)connection.Protocol)))
        {
            return true;
        }

        var number = Claim(HashOf(in connection.Client, connection.ClientPort, connection.Protocol), connection.PendingSince);
        if (number == 0)
        {
            return false;
        }

        At(number) = connection;
        At(number).Link = 0;
        if (connection.Kind == ConnectionKind.Translated)
        {
            var other = Claim(HashOf(in alias.Client, alias.ClientPort, alias.Protocol), connection.PendingSince);
            if (other == 0)
            {
                Abandon((uint)number);
                return false;
            }

            At(other) = alias;
            At(other).Link = (uint)number;
            At(number).Link = (uint)other;
            Publish((uint)other);
        }

        Publish((uint)number);
        return true;
    }
}
