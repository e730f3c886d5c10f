using Skep.Packets;

namespace Skep.Balancing;

/// <summary>User half of the connection table: the clock that stamps entries, listing, and forgetting what is over.</summary>
public sealed class ConnectionTable(BalancerMaps maps, ConnectionTimeouts? timeouts = null)
{
    private readonly ConnectionTimeouts _timeouts = timeouts ?? new ConnectionTimeouts();

    /// <summary>Moves the clock that programs stamp connections with by <paramref name="seconds"/>; to be called about every second.</summary>
    public void Tick(uint seconds) => maps.Clock.Value += seconds;

    /// <summary>All connections, as the client's side sees them. Entries that come or go meanwhile may be missed or repeated.</summary>
    public IReadOnlyList<ConnectionState> List()
    {
        var now = maps.Clock.Value;
        var list = new List<ConnectionState>();
        maps.ReadConnections((key, connection) =>
        {
            if (connection.Direction == ConnectionDirection.Forward)
            {
                list.Add(State(in key, in connection, now));
            }
        });
        return list;
    }

    /// <summary>The connection of a client's packet; null when it is none of the balancer's.</summary>
    internal ConnectionState? Find(in ConnectionKey key) =>
        maps.TryGetConnection(in key, out var connection) && connection.Direction == ConnectionDirection.Forward ? State(in key, in connection, maps.Clock.Value) : null;

    /// <summary>The connection of a packet that has been rewritten already, by one lookup; null when it is none of the balancer's.</summary>
    public ConnectionState? FindRewritten(IpAddress source, ushort sourcePort, IpAddress destination, ushort destinationPort, IpProtocol protocol)
    {
        // The opposite direction's key has the addresses from before its rewriting, which are those of this direction after it.
        var key = new ConnectionKey
        {
            Source = destination,
            Destination = source,
            RawPorts = NetworkUInt16.From(destinationPort).Raw | ((uint)NetworkUInt16.From(sourcePort).Raw << 16),
            Protocol = (uint)protocol,
        };
        if (!maps.TryGetConnection(in key, out var connection))
        {
            return null;
        }

        var now = maps.Clock.Value;
        if (connection.Direction == ConnectionDirection.Forward)
        {
            return State(in key, in connection, now);
        }

        if (connection.OtherAddress != 0)
        {
            return new ConnectionState(
                connection.NewAddress, connection.NewPort.Value, OtherAddress(in connection), connection.OtherPort.Value, protocol, connection.Backend, destination,
                destinationPort, connection.End, TimeSpan.FromSeconds(Idle(in connection, now))) { SeenAs = (source, sourcePort) };
        }

        return new ConnectionState(
            source, sourcePort, connection.NewAddress, connection.NewPort.Value, protocol, connection.Backend, destination, destinationPort,
            connection.End, TimeSpan.FromSeconds(Idle(in connection, now)));
    }

    /// <summary>Connections of a backend that have not ended; those of UDP, and those that vanished without an end, as of the last <see cref="Sweep"/>.</summary>
    public long OpenOf(uint backend) => backend < maps.Open.MaxEntries ? Math.Max(0, maps.Open.Entries[(int)backend]) : 0;

    /// <summary>Forgets all connections of a backend; returns how many were open. What clients send next goes to others, who reset what they do not know.</summary>
    public int Cut(uint backend)
    {
        var keys = new List<ConnectionKey>();
        var open = 0;
        maps.ReadConnections((key, connection) =>
        {
            if (connection.Backend == backend)
            {
                keys.Add(key);
                open += connection.Direction == ConnectionDirection.Forward && !connection.IsClosed ? 1 : 0;
            }
        });
        maps.RemoveConnections(keys);
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
        var idle = new List<(ConnectionKey Key, Connection Value)>();
        var before = maps.Open.Entries.ToArray();
        var open = new long[before.Length];
        maps.ReadConnections((key, connection) =>
        {
            if (IsOver(in key, in connection, now))
            {
                idle.Add((key, connection));
            }
            else if (connection.Direction == ConnectionDirection.Forward && !connection.IsClosed && connection.Backend < open.Length)
            {
                open[connection.Backend]++;
            }
        });

        // Programs go on counting meanwhile: what the counts were wrong by is added, not what they should be.
        for (var id = 0; id < open.Length; id++)
        {
            if (open[id] != before[id])
            {
                Interlocked.Add(ref maps.Open.Entries[id], open[id] - before[id]);
            }
        }

        var removed = 0;
        foreach (var (key, connection) in idle)
        {
            var twin = TwinOf(in key, in connection);
            if (maps.TryGetConnection(in twin, out var other) && !IsOver(in twin, in other, now))
            {
                continue;
            }

            if (maps.RemoveConnection(in key) && connection.Direction == ConnectionDirection.Forward)
            {
                removed++;
            }
        }

        return removed;
    }

    private ConnectionState State(in ConnectionKey key, in Connection forward, uint now) => new(
        key.Source,
        key.SourcePort.Value,
        key.Destination,
        key.DestinationPort.Value,
        (IpProtocol)key.Protocol,
        forward.Backend,
        forward.NewAddress,
        forward.NewPort.Value,
        forward.End,
        TimeSpan.FromSeconds(Idle(in forward, now)))
    {
        SeenAs = forward.OtherAddress != 0 ? (OtherAddress(in forward), forward.OtherPort.Value) : null,
    };

    private IpAddress OtherAddress(in Connection connection) => maps.Addresses.Entries[connection.OtherAddress];

    private ConnectionKey TwinOf(in ConnectionKey key, in Connection connection) => connection.OtherAddress != 0
        ? new ConnectionKey
        {
            Source = connection.NewAddress,
            Destination = OtherAddress(in connection),
            RawPorts = connection.NewPort.Raw | ((uint)connection.OtherPort.Raw << 16),
            Protocol = key.Protocol,
        }
        : connection.Direction == ConnectionDirection.Forward
        ? new ConnectionKey
        {
            Source = connection.NewAddress,
            Destination = key.Source,
            RawPorts = connection.NewPort.Raw | (key.RawPorts << 16),
            Protocol = key.Protocol,
        }
        : new ConnectionKey
        {
            Source = key.Destination,
            Destination = connection.NewAddress,
            RawPorts = (key.RawPorts >> 16) | ((uint)connection.NewPort.Raw << 16),
            Protocol = key.Protocol,
        };

    // The clock may move on while the table is read: an entry stamped since then is not idle, let alone for 136 years.
    private static uint Idle(in Connection connection, uint now) => (uint)Math.Max(0, (int)(now - connection.LastSeen));

    private bool IsOver(in ConnectionKey key, in Connection connection, uint now) =>
        Idle(in connection, now) > _timeouts.Of((IpProtocol)key.Protocol, in connection).TotalSeconds;
}
