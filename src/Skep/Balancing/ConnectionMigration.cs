using Skep.Bpf.Maps;
using Skep.Engine;

namespace Skep.Balancing;

/// <summary>
/// Carries connections over into a table of another size, where each has another place, or from the hash table of earlier versions. What is there already stays. Only
/// established ones must find room; halves of others that are left over are of no use to anybody.
/// </summary>
internal sealed class ConnectionMigration(BalancerMaps maps) : IMigratesEntries
{
    public MapCopyResult? Migrate(MapBefore before, BpfMap map)
    {
        // Places go by it: one that was not drawn yet must not change afterwards.
        maps.Direct.DrawSeed();
        return before.Shape.Kind == MapKind.Array && before.HasSameLayout ? Migrate(RecordsOf(before))
            : FormerConnection.IsTable(before.Shape) ? Migrate(FormerConnection.ReadAll(before.Storage))
            : null;
    }

    /// <summary>Enters the connections among <paramref name="old"/>, the records of another table.</summary>
    internal MapCopyResult Migrate(ReadOnlySpan<Connection> old)
    {
        var tracker = new Tracker(maps, translates: true);
        long copied = 0, noRoom = 0;
        for (var number = 0u; number < old.Length; number++)
        {
            var connection = old[(int)number];
            var isTranslated = connection.Kind == ConnectionKind.Translated;
            var alias = isTranslated && connection.Link < old.Length ? old[(int)connection.Link] : default;
            if (connection.Ends == 0 || connection.Kind == ConnectionKind.Alias || (isTranslated && (alias.Kind != ConnectionKind.Alias || alias.Link != number)))
            {
                continue;
            }

            if (tracker.TryEnter(in connection, in alias))
            {
                copied++;
            }
            else if (connection.Stage == ConnectionStage.Established)
            {
                noRoom++;
            }
        }

        return new(copied, 0, noRoom);
    }

    private static unsafe ReadOnlySpan<Connection> RecordsOf(MapBefore before)
    {
        // SAFETY: an array that programs and this process share holds its records one after the other, as long as its storage lives.
        var first = 0u;
        return new(before.Storage.Find((byte*)&first), checked((int)before.Shape.MaxEntries));
    }
}
