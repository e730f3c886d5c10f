using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half: the connections there are, in two tables. What begins is entered where the least recently used makes room; once the backend answers as only an
/// established connection makes it, both entries move to a table that drives nobody out. So a flood of new connections replaces its own kind.
/// </summary>
internal sealed class Tracker(BalancerMaps maps, AddressBook? book = null)
{
    private readonly HashMap<ConnectionKey, Connection> _established = maps.Established;
    private readonly LruHashMap<ConnectionKey, Connection> _beginning = maps.Beginning;
    private readonly AddressBook? _book = book;

    /// <summary>The entry of a packet; a null reference when there is none.</summary>
    internal ref Connection Find(scoped in ConnectionKey key) => ref Find(in key, out _);

    /// <summary>The entry of a packet, and whether it is not among those that nobody drives out; a null reference when there is none.</summary>
    internal ref Connection Find(scoped in ConnectionKey key, out bool isBeginning)
    {
        ref var known = ref _established.Find(in key);
        isBeginning = false;
        if (Unsafe.IsNullRef(ref known))
        {
            isBeginning = true;
            known = ref _beginning.Find(in key);
        }

        return ref known;
    }

    /// <summary>Enters a connection that begins, unless one that begins has the key already. 0 or a negative errno.</summary>
    internal int Enter(in ConnectionKey key, in Connection connection) => _beginning.Update(in key, in connection, UpdateMode.NoExist);

    /// <summary>Enters a connection that begins in the place of another that begins. 0 or a negative errno.</summary>
    internal int Replace(in ConnectionKey key, in Connection connection) => _beginning.Update(in key, in connection, UpdateMode.Any);

    /// <summary>Makes room for a connection that takes the key of an established one which is over; nothing happens when there is none.</summary>
    internal void Forget(in ConnectionKey key) => _established.Delete(in key);

    /// <summary>The key of the other entry, which goes in <paramref name="direction"/>: the ends of the packet that this one sends on, the other way round.</summary>
    internal void TwinOf(in Connection connection, in ConnectionKey key, ConnectionDirection direction, out ConnectionKey twin)
    {
        twin.Protocol = key.Protocol;
        if (_book is not null && connection.OtherAddress != 0)
        {
            ref var other = ref _book.Find(connection.OtherAddress);
            twin.Destination = Unsafe.IsNullRef(ref other) ? default : other;
            twin.Source = connection.NewAddress;
            twin.RawPorts = connection.NewPort.Raw | ((uint)connection.OtherPort.Raw << 16);
        }
        else if (direction == ConnectionDirection.Reply)
        {
            twin.Source = connection.NewAddress;
            twin.Destination = key.Source;
            twin.RawPorts = connection.NewPort.Raw | (key.RawPorts << 16);
        }
        else
        {
            twin.Source = key.Destination;
            twin.Destination = connection.NewAddress;
            twin.RawPorts = (key.RawPorts >> 16) | ((uint)connection.NewPort.Raw << 16);
        }
    }

    /// <summary>
    /// Moves a connection whose backend answered to the established ones, both entries or none; it stays where it is when there is no room. Once a connection: a
    /// function of its own.
    /// </summary>
    [GlobalFunction]
    internal int Establish(in ConnectionKey reply)
    {
        ref var answers = ref _beginning.Find(in reply);
        if (Unsafe.IsNullRef(ref answers))
        {
            return 0;
        }

        TwinOf(in answers, in reply, ConnectionDirection.Forward, out var forward);
        ref var requests = ref _beginning.Find(in forward);
        if (Unsafe.IsNullRef(ref requests))
        {
            return 0;
        }

        if (_established.Update(in forward, in requests, UpdateMode.Any) < 0)
        {
            return 0;
        }

        if (_established.Update(in reply, in answers, UpdateMode.Any) < 0)
        {
            _established.Delete(in forward);
            return 0;
        }

        _beginning.Delete(in forward);
        _beginning.Delete(in reply);
        return 1;
    }
}
