using Skep.Packets;

namespace Skep.Balancing;

/// <summary>User half of the connection table: the clock that stamps records, listing, and forgetting what is over. It reads and writes mapped memory: no call of the kernel.</summary>
public sealed class ConnectionTable(BalancerMaps maps, ConnectionTimeouts? timeouts = null)
{
    // A record without the other one that belongs to it is left alone for as long as programs may be about to write that.
    private const uint Unfinished = 2;

    private readonly ConnectionTimeouts _timeouts = timeouts ?? new ConnectionTimeouts();

    private readonly Tracker _tracker = new(maps, translates: true);

    /// <summary>Moves the clock that programs stamp connections with by <paramref name="seconds"/>; to be called about every second.</summary>
    public void Tick(uint seconds) => maps.Clock.Value += seconds;

    /// <summary>All connections, as the client's side sees them. Those that come or go meanwhile may be missed or repeated.</summary>
    public IReadOnlyList<ConnectionState> List()
    {
        var now = maps.Clock.Value;
        var list = new List<ConnectionState>();
        foreach (var number in _tracker.Numbers())
        {
            var connection = _tracker.At(number);
            if (connection.Kind != ConnectionKind.Alias)
            {
                list.Add(State(in connection, now));
            }
        }

        return list;
    }

    /// <summary>Records that are taken: one for a connection, two for one with source translation.</summary>
    public long Count() => _tracker.Count();

    /// <summary>The connection of a client's packet; null when it is none of the balancer's.</summary>
    internal ConnectionState? Find(in ConnectionKey key) => Tracker.FoundForward(Search(in key, out var number)) ? State(in _tracker.At(number), maps.Clock.Value) : null;

    /// <summary>Whether a packet is a backend's answer to a client.</summary>
    internal bool IsReply(in ConnectionKey key) => Tracker.FoundReply(Search(in key, out _));

    /// <summary>The connection of a packet that has been rewritten already; null when it is none of the balancer's.</summary>
    public ConnectionState? FindRewritten(IpAddress source, ushort sourcePort, IpAddress destination, ushort destinationPort, IpProtocol protocol)
    {
        // The opposite direction's packets have the addresses before their rewriting that those of this direction have after it.
        var key = new ConnectionKey
        {
            Source = destination,
            Destination = source,
            RawPorts = NetworkUInt16.From(destinationPort).Raw | ((uint)NetworkUInt16.From(sourcePort).Raw << 16),
            Protocol = (uint)protocol,
        };
        return Search(in key, out var number) != 0 ? State(in _tracker.At(number), maps.Clock.Value) : null;
    }

    /// <summary>Connections of a backend that have not ended; those of UDP, and those that vanished without an end, as of the last <see cref="Sweep"/>.</summary>
    public long OpenOf(uint backend) => backend < maps.Open.MaxEntries ? Math.Max(0, maps.Open.Entries[(int)backend]) : 0;

    /// <summary>Forgets all connections of a backend; returns how many were open. What clients send next goes to others, who reset what they do not know.</summary>
    public int Cut(uint backend)
    {
        var open = 0;
        foreach (var number in _tracker.Numbers())
        {
            ref readonly var connection = ref _tracker.At(number);
            if (connection.BackendId == backend)
            {
                var counts = connection.Kind != ConnectionKind.Alias && !connection.IsClosed;
                open += _tracker.Release(number) != 0 && counts ? 1 : 0;
            }
        }

        if (backend < maps.Open.MaxEntries)
        {
            Interlocked.Add(ref maps.Open.Entries[(int)backend], -open);
        }

        return open;
    }

    /// <summary>Forgets connections whose both directions have been silent for longer than their state allows; returns how many.</summary>
    public int Sweep()
    {
        var now = maps.Clock.Value;
        var before = maps.Open.Entries.ToArray();
        var open = new long[before.Length];
        var removed = 0;
        foreach (var number in _tracker.Numbers())
        {
            ref readonly var connection = ref _tracker.At(number);
            var isAlias = connection.Kind == ConnectionKind.Alias;
            if (_tracker.IsLeftOver(number) ? Idle(in connection, now) > Unfinished : !isAlias && IsOver(in connection, now))
            {
                removed += _tracker.Release(number) != 0 && !isAlias ? 1 : 0;
            }
            else if (!isAlias && !connection.IsClosed && connection.BackendId < open.Length)
            {
                open[connection.BackendId]++;
            }
        }

        // Programs go on counting meanwhile: what the counts were wrong by is added, not what they should be.
        for (var id = 0; id < open.Length; id++)
        {
            if (open[id] != before[id])
            {
                Interlocked.Add(ref maps.Open.Entries[id], open[id] - before[id]);
            }
        }

        return removed;
    }

    private ulong Search(in ConnectionKey key, out uint number)
    {
        var found = _tracker.Find(in key.Source, in key.Destination, key.RawPorts, key.Protocol);
        number = Tracker.NumberOf(found);
        return found;
    }

    private ConnectionState State(in Connection connection, uint now)
    {
        ref readonly var alias = ref _tracker.At(connection.Link);
        return new(
            connection.Client,
            connection.ClientPort.Value,
            connection.Virtual,
            connection.VirtualPort.Value,
            connection.Protocol,
            connection.BackendId,
            connection.Backend,
            connection.BackendPort.Value,
            connection.End & ~ConnectionMigration.EndedBefore,
            TimeSpan.FromSeconds(Idle(in connection, now)))
        {
            SeenAs = connection.Kind == ConnectionKind.Translated ? (alias.Client, alias.ClientPort.Value) : null,
        };
    }

    // The clock may move on while the table is read: a record stamped since then is not idle, let alone for 136 years.
    private static uint Idle(in Connection connection, uint now) => (uint)Math.Max(0, (int)(now - connection.LastSeen));

    private bool IsOver(in Connection connection, uint now) => Idle(in connection, now) > _timeouts.Of(connection.Protocol, in connection).TotalSeconds;
}
