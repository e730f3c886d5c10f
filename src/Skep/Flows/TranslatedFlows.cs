using Skep.Packets;

namespace Skep.Flows;

/// <summary>
/// Puts the two halves of balanced flows together. XDP rewrites a packet before the hooks of TC see it, so an interface sees one direction with the
/// backend's address and the other with the service's: two flows of one direction each.
/// </summary>
internal static class TranslatedFlows
{
    /// <summary>Entries with both halves in one, under the service's address.</summary>
    internal static IReadOnlyList<Joined> Join(IReadOnlyList<FlowEntry> entries, TranslationLookup? lookup)
    {
        if (lookup is null)
        {
            return [.. entries.Select(e => new Joined(e, null, [e]))];
        }

        var joined = new List<Joined>(entries.Count);
        var places = new Dictionary<FlowKey, int>();
        foreach (var entry in entries)
        {
            if (!IsOneWay(in entry) || lookup(PacketOf(in entry)) is not { } translation)
            {
                joined.Add(new Joined(entry, null, [entry]));
                continue;
            }

            var named = entry;
            named.Key = UnderService(entry.Key, translation);
            if (places.TryGetValue(named.Key, out var place))
            {
                joined[place] = new Joined(Merge(joined[place].Entry, in named), translation, [.. joined[place].Parts, entry]);
            }
            else
            {
                places[named.Key] = joined.Count;
                joined.Add(new Joined(named, translation, [entry]));
            }
        }

        return joined;
    }

    /// <summary>Whether only one direction was seen.</summary>
    internal static bool IsOneWay(in FlowEntry entry) => entry.Sent.Packets == 0 || entry.Received.Packets == 0;

    private static FlowPacket PacketOf(in FlowEntry entry)
    {
        var (key, protocol) = (entry.Key, (IpProtocol)entry.Key.Protocol);
        return entry.Sent.Packets > 0
            ? new FlowPacket(key.Local, key.LocalPort, key.Remote, key.RemotePort, protocol)
            : new FlowPacket(key.Remote, key.RemotePort, key.Local, key.LocalPort, protocol);
    }

    private static FlowKey UnderService(FlowKey key, FlowTranslation translation)
    {
        var port = (uint)NetworkUInt16.From(translation.ServicePort).Raw;
        if (key.Local == translation.Backend && key.LocalPort == translation.BackendPort)
        {
            key.Local = translation.Service;
            key.RawPorts = (key.RawPorts & 0xFFFF0000) | port;
        }
        else if (key.Remote == translation.Backend && key.RemotePort == translation.BackendPort)
        {
            key.Remote = translation.Service;
            key.RawPorts = (key.RawPorts & 0xFFFF) | (port << 16);
        }

        return key;
    }

    private static FlowEntry Merge(FlowEntry one, in FlowEntry two)
    {
        var merged = one.FirstSeen <= two.FirstSeen ? one : two;
        merged.LastSeen = Math.Max(one.LastSeen, two.LastSeen);
        merged.Sent = one.Sent.Packets > 0 ? one.Sent : two.Sent;
        merged.Received = one.Received.Packets > 0 ? one.Received : two.Received;
        merged.End = one.End != FlowEnd.None ? one.End : two.End;
        // Each half saw one FIN only.
        if (merged.End == FlowEnd.None && (merged.Sent.Flags & merged.Received.Flags & (uint)TcpFlags.Fin) != 0)
        {
            merged.End = FlowEnd.Finished;
        }

        return merged;
    }

    /// <summary>A flow.</summary>
    /// <param name="Entry">What is known of it, under the service's address if it is balanced.</param>
    /// <param name="Translation">What the balancer did; null when nothing.</param>
    /// <param name="Parts">The entries of the table it was made of.</param>
    internal readonly record struct Joined(FlowEntry Entry, FlowTranslation? Translation, FlowEntry[] Parts);
}
