using Skep.Bpf.Maps;
using Skep.Packets;

namespace Skep.Flows;

/// <summary>
/// Puts the two halves of balanced flows together. XDP rewrites a packet before the hooks of TC see it, so an interface sees one direction with the
/// backend's address and the other with the service's: two flows of one direction each. Each half tells the name of the other, so that a walk keeps nothing.
/// </summary>
internal static class TranslatedFlows
{
    /// <summary>Shows every flow of the table once. Flows that come or go meanwhile may be missed or repeated.</summary>
    internal static void Walk(LruHashMap<FlowKey, FlowEntry> table, TranslationLookup? lookup, FlowVisitor visit)
    {
        using var batches = table.Batches();
        while (batches.Read())
        {
            foreach (ref readonly var entry in batches.Values)
            {
                if (lookup is null || !IsOneWay(in entry) || lookup(PacketOf(in entry)) is not { } translation)
                {
                    visit(new FlowRecord(in entry, null, entry.End != FlowEnd.None));
                    continue;
                }

                var (service, backend) = NamesOf(entry.Key, translation);
                var isBackends = entry.Key != service;
                var hasOther = TryGetHalf(table, isBackends ? service : backend, lookup, out var other);
                if (!isBackends || !hasOther)
                {
                    // The half with the service's name stands for both.
                    visit(Record(in entry, hasOther ? other : null, service, translation));
                }
            }
        }
    }

    /// <summary>The flow of an entry, or of a half of it, that is all there is.</summary>
    internal static FlowRecord Of(in FlowEntry entry, TranslationLookup? lookup) =>
        lookup is not null && IsOneWay(in entry) && lookup(PacketOf(in entry)) is { } translation
            ? Record(in entry, null, NamesOf(entry.Key, translation).Service, translation)
            : new FlowRecord(in entry, null, entry.End != FlowEnd.None);

    /// <summary>The names of both halves.</summary>
    internal static (FlowKey Service, FlowKey Backend) NamesOf(FlowKey key, FlowTranslation translation)
    {
        var (service, backend) = (key, key);
        if (Is(key.Local, key.LocalPort, translation))
        {
            (service.Local, backend.Local) = (translation.Service, translation.Backend);
            service.RawPorts = (key.RawPorts & 0xFFFF0000) | NetworkUInt16.From(translation.ServicePort).Raw;
            backend.RawPorts = (key.RawPorts & 0xFFFF0000) | NetworkUInt16.From(translation.BackendPort).Raw;
        }
        else if (Is(key.Remote, key.RemotePort, translation))
        {
            (service.Remote, backend.Remote) = (translation.Service, translation.Backend);
            service.RawPorts = (key.RawPorts & 0xFFFF) | ((uint)NetworkUInt16.From(translation.ServicePort).Raw << 16);
            backend.RawPorts = (key.RawPorts & 0xFFFF) | ((uint)NetworkUInt16.From(translation.BackendPort).Raw << 16);
        }

        return (service, backend);
    }

    /// <summary>Whether only one direction was seen.</summary>
    internal static bool IsOneWay(in FlowEntry entry) => entry.Sent.Packets == 0 || entry.Received.Packets == 0;

    private static bool Is(IpAddress address, ushort port, FlowTranslation translation) =>
        (address == translation.Backend && port == translation.BackendPort) || (address == translation.Service && port == translation.ServicePort);

    private static bool TryGetHalf(LruHashMap<FlowKey, FlowEntry> table, FlowKey key, TranslationLookup lookup, out FlowEntry half) =>
        table.TryGet(in key, out half) && IsOneWay(in half) && lookup(PacketOf(in half)) is not null;

    private static FlowPacket PacketOf(in FlowEntry entry)
    {
        var (key, protocol) = (entry.Key, (IpProtocol)entry.Key.Protocol);
        return entry.Sent.Packets > 0
            ? new FlowPacket(key.Local, key.LocalPort, key.Remote, key.RemotePort, protocol)
            : new FlowPacket(key.Remote, key.RemotePort, key.Local, key.LocalPort, protocol);
    }

    private static FlowRecord Record(in FlowEntry one, FlowEntry? other, FlowKey name, FlowTranslation translation)
    {
        var merged = one;
        var isTold = one.End != FlowEnd.None;
        if (other is { } two)
        {
            isTold |= two.End != FlowEnd.None;
            // The first packet tells who began; in doubt it was that to the backend.
            merged = one.FirstSeen < two.FirstSeen ? one : two;
            merged.LastSeen = Math.Max(one.LastSeen, two.LastSeen);
            merged.Sent = one.Sent.Packets > 0 ? one.Sent : two.Sent;
            merged.Received = one.Received.Packets > 0 ? one.Received : two.Received;
            merged.End = one.End != FlowEnd.None ? one.End : two.End;
            // Each half saw one FIN only.
            if (merged.End == FlowEnd.None && (merged.Sent.Flags & merged.Received.Flags & (uint)TcpFlags.Fin) != 0)
            {
                merged.End = FlowEnd.Finished;
            }
        }

        merged.Key = name;
        return new FlowRecord(in merged, translation, isTold);
    }
}
