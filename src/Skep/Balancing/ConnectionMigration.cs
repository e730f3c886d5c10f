using Skep.Bpf.Btf;
using Skep.Bpf.Maps;
using Skep.Engine;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Carries connections over into a table of another size, where each has another place. Only established ones must find room;
/// halves of others that are left over are of no use to anybody. What ended in the old table while programs were exchanged ends in the new one: a connection that is taken for
/// open would hold its client's port for hours.
/// </summary>
internal sealed class ConnectionMigration(BalancerMaps maps) : IMigratesEntries
{
    // The earlier layout had its ports under another name, in another order.
    private const string FormerPorts = "Ends";

    // Beside what programs write, in both tables: the connection had ended when it was carried over. What either has under its client's port since then is another one, and is not
    // ended by it.
    internal const ConnectionEnd EndedBefore = (ConnectionEnd)0x80;

    public MapCopyResult? Migrate(MapBefore before, BpfMap map, bool isInUse)
    {
        // Places go by it: one that was not drawn yet must not change afterwards.
        maps.Direct.DrawSeed();
        if (!isInUse)
        {
            maps.ConnectionSets.Entries.Clear();
        }

        return before.Shape.Kind != MapKind.Array ? null
            : before.HasSameLayout ? Migrate(RecordsOf(before), isInUse)
            : IsFormer(before) ? Migrate(RecordsOf(before), isInUse, isFormer: true)
            : null;
    }

    public void Exchanging(ulong until) => maps.Exchange.Value = until;

    /// <summary>Enters the connections among <paramref name="old"/>, the records of another table, or of one of the earlier layout.</summary>
    internal MapCopyResult Migrate(Span<Connection> old, bool isInUse = false, bool isFormer = false)
    {
        var tracker = new Tracker(maps, translates: true);
        long copied = 0, noRoom = 0;
        for (var number = 0u; number < old.Length; number++)
        {
            var connection = isFormer ? FromFormer(in old[(int)number]) : old[(int)number];
            var isTranslated = connection.Kind == ConnectionKind.Translated;
            var alias = isTranslated && connection.Link < old.Length ? isFormer ? FromFormer(in old[(int)connection.Link]) : old[(int)connection.Link] : default;
            if (connection.Ports == 0 || connection.Kind == ConnectionKind.Alias || (isTranslated && (alias.Kind != ConnectionKind.Alias || alias.Link != number)))
            {
                continue;
            }

            // The user half has forgotten those of removed backends already, whose clients would never notice.
            if (connection.Protocol == IpProtocol.Udp && !IsOfABackend(in connection))
            {
                continue;
            }

            if (connection.IsClosed)
            {
                if (isInUse && (connection.End & EndedBefore) != 0)
                {
                    continue;
                }

                old[(int)number].End |= EndedBefore;
            }

            if (IsThere(tracker, in connection) || tracker.TryEnter(connection.IsClosed ? connection with { End = connection.End | EndedBefore } : connection, in alias))
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

    // Brings what programs did to it in the old table to the one that is there; false when it is not there, or only a connection before it that used the same port.
    private static bool IsThere(Tracker tracker, in Connection old)
    {
        var found = tracker.Find(in old.Client, in old.Virtual, old.RawPorts, (uint)old.Protocol);
        if (!Tracker.FoundForward(found))
        {
            return false;
        }

        ref var now = ref tracker.At(Tracker.NumberOf(found));
        if ((now.End & EndedBefore) != 0)
        {
            if (old.IsClosed)
            {
                return true;
            }
        }
        else if (now.Ports == old.Ports && now.Backend == old.Backend)
        {
            now.End |= old.End;
            now.Stage = now.Stage < old.Stage ? old.Stage : now.Stage;
            now.LastSeen = IsLater(old.LastSeen, now.LastSeen) ? old.LastSeen : now.LastSeen;
            return true;
        }
        else if (old.IsClosed || !(now.IsClosed || IsLater(old.LastSeen, now.LastSeen)))
        {
            return true;
        }

        tracker.Release(Tracker.NumberOf(found));
        return false;
    }

    /// <summary>A record of the earlier layout, which differs in the order of ports: client, virtual, backend.</summary>
    internal static Connection FromFormer(in Connection old) => old with
    {
        Ports = (old.Ports & 0xFFFF_0000_0000_0000) | ((old.Ports & 0xFFFF_FFFF) << 16) | (ushort)(old.Ports >> 32),
    };

    private static unsafe bool IsFormer(MapBefore before) =>
        before.Shape.ValueSize == sizeof(Connection) && before.Types is var (file, _, value) && file[value].Kind == BtfKind.Struct && file.Members(value).Any(static m => m.Name == FormerPorts);

    private static bool IsLater(uint one, uint other) => (int)(one - other) > 0;

    private bool IsOfABackend(in Connection connection) =>
        connection.BackendId < maps.Backends.MaxEntries && maps.Backends.Entries[(int)connection.BackendId].InUse != 0;

    private static unsafe Span<Connection> RecordsOf(MapBefore before)
    {
        // SAFETY: an array that programs and this process share holds its records one after the other, as long as its storage lives.
        var first = 0u;
        return new(before.Storage.Find((byte*)&first), checked((int)before.Shape.MaxEntries));
    }
}
