using System.Collections.Immutable;
using System.Globalization;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Which backend a connection has or would get.</summary>
/// <param name="Service">The service; null when the destination is none's.</param>
/// <param name="Backend">The backend; null when there is none.</param>
/// <param name="IsKnown">Whether the connection exists; else it is what a new one would get now.</param>
/// <param name="Steps">How it comes to that, a sentence each.</param>
public sealed record Explanation(ServiceModel? Service, BackendModel? Backend, bool IsKnown, ImmutableArray<string> Steps);

/// <summary>Follows a packet through the tables as the program does, and says what it found at every step. Only reads.</summary>
public sealed class Explainer(Balancer balancer, ConnectionTable connections)
{
    /// <summary>What happens to a packet of a client to a virtual endpoint.</summary>
    /// <param name="client">Address of the client.</param>
    /// <param name="clientPort">Port of the client.</param>
    /// <param name="address">Virtual address.</param>
    /// <param name="port">Virtual port.</param>
    /// <param name="protocol">TCP or UDP.</param>
    /// <param name="connectionId">QUIC connection id that the packet is sent to; empty for none.</param>
    public Explanation Explain(IpAddress client, ushort clientPort, IpAddress address, ushort port, IpProtocol protocol, ReadOnlySpan<byte> connectionId = default)
    {
        var steps = ImmutableArray.CreateBuilder<string>();
        var key = new ConnectionKey
        {
            Source = client,
            Destination = address,
            RawPorts = NetworkUInt16.From(clientPort).Raw | ((uint)NetworkUInt16.From(port).Raw << 16),
            Protocol = (uint)protocol,
        };
        var wanted = new ServiceKey { Address = address, RawPort = NetworkUInt16.From(port).Raw, Protocol = (uint)protocol };
        // A single port goes before a range that has it.
        var service = balancer.Services.FirstOrDefault(s => s.Model.Key == wanted)
            ?? balancer.Services.FirstOrDefault(s => s.Model.LastPort is { } last && s.Model.Address == address && s.Model.Protocol == protocol && port >= s.Model.Port && port <= last);
        if (connections.Find(in key) is { } found)
        {
            return Known(found, service, steps);
        }

        if (connections.IsReply(in key))
        {
            steps.Add("The connection table knows it as the answer of a backend: it goes to the client with the service's address.");
            return new Explanation(null, null, true, steps.DrainToImmutable());
        }

        steps.Add("The connection table does not know it: it is a new connection.");
        if (service is null)
        {
            steps.Add($"{EndpointText.Of(address, port)}/{protocol.ToString().ToLowerInvariant()} is no service: the packet passes to the network stack as it is.");
            return new Explanation(null, null, false, steps.DrainToImmutable());
        }

        var (ring, flags) = balancer.RingOf(service.Model.Key);
        steps.Add(string.Create(CultureInfo.InvariantCulture, $"{service.Model.Endpoint} is service '{service.Model.Name}' with {service.Backends.Length} backends and a ring of {ring.Slots} slots."));
        if (service.Model.ConnectionRate is { } rate)
        {
            steps.Add(string.Create(CultureInfo.InvariantCulture, $"It takes {rate.PerSecond} new connections a second, {rate.Burst} at once; of more, {balancer.RefusedOf(service.Id).Connections} were dropped so far."));
        }

        if (service.Model.PacketRate is { } packets)
        {
            steps.Add(string.Create(CultureInfo.InvariantCulture, $"It takes {packets.PerSecond} packets a second, {packets.Burst} at once; of more, {balancer.RefusedOf(service.Id).Packets} were dropped so far."));
        }

        if (service.Model.Forwarding != ForwardingMode.Nat)
        {
            steps[0] = "Answers return directly: a flow that the flow table remembers stays with its backend. A new one goes by the ring.";
            flags = ServiceFlags.None;
            if (Balancer.QuicLengthOf(service.Model) > 0 && Named(service, connectionId, steps) is { } named)
            {
                return new Explanation(service.Model, named.Model, true, steps.DrainToImmutable());
            }

        }

        if (service.Model.SourceRanges.Length > 0 && !service.Model.SourceRanges.Any(r => r.Contains(client)))
        {
            steps.Add($"{client} is not among the sources that may use the service: the packet is dropped.");
            return new Explanation(service.Model, null, false, steps.DrainToImmutable());
        }

        if (service.Model.ClientPrefix is { } bits)
        {
            steps.Add($"All connections of a client belong together, by {bits} bits of its address: a client that the flow table remembers stays with its backend. A new one goes by the ring.");
            key.Source = Masked(client, bits);
            key.RawPorts = 0;
            flags &= ~ServiceFlags.TwoChoices;
        }

        var backend = Choose(service, ring, flags, BackendChoice.HashOf(in key), steps);
        if (backend is null)
        {
            steps.Add("Nobody has the slot: no backend takes connections, and the packet is dropped.");
        }
        else
        {
            steps.Add(WeightOf(service, backend));
            AddTranslation(service.Model, client, steps);
        }

        return new Explanation(service.Model, backend?.Model, false, steps.DrainToImmutable());
    }

    private static Explanation Known(ConnectionState found, ServiceState? service, ImmutableArray<string>.Builder steps)
    {
        var backend = service?.Backends.FirstOrDefault(b => b.Id == found.BackendId);
        steps.Add(string.Create(
            CultureInfo.InvariantCulture,
            $"The connection table knows it: it belongs to {EndpointText.Of(found.Backend, found.BackendPort)}, was silent for {found.Idle.TotalSeconds:0} s and {(found.End == ConnectionEnd.None ? "is open" : $"has ended so far by {found.End}")}. It stays there whatever the ring says."));
        if (found.SeenAs is { } seen)
        {
            steps.Add($"The backend sees it as coming from {EndpointText.Of(seen.Address, seen.Port)}, and answers there.");
        }

        if (backend is null)
        {
            steps.Add("That backend is no longer one of the service: a new SYN of the client goes to another.");
        }
        else if (!backend.Model.TakesConnections)
        {
            steps.Add(backend.Model.Drain ? "That backend is drained: it gets no new connections." : "That backend takes no new connections now.");
        }

        return new Explanation(service?.Model, backend?.Model, true, steps.DrainToImmutable());
    }

    private static void AddTranslation(ServiceModel service, IpAddress client, ImmutableArray<string>.Builder steps)
    {
        var isBackend = service.Backends.Any(b => b.Address == client);
        if (service.SourceTranslation is { } translation && (isBackend || !translation.OnlyBackends))
        {
            steps.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"{(translation.OnlyBackends ? "The client is itself a backend of the service: the" : "The")} backend sees it as coming from a port {translation.FirstPort} to {translation.LastPort} of {string.Join(" or ", translation.Addresses)}, and answers there."));
        }
        else if (isBackend && service.Forwarding == ForwardingMode.Nat)
        {
            steps.Add("The client is itself a backend of the service: unless the other backend's way to it leads through this host, and it is another one, answers do not find back. 'sourceTranslation' makes it work.");
        }
    }

    private BackendState? Choose(ServiceState service, RingPlace ring, ServiceFlags flags, ulong hash, ImmutableArray<string>.Builder steps)
    {
        var slot = BackendChoice.SlotOf(hash, (uint)ring.Slots);
        var first = Find(service, balancer.IdAt(ring, (int)slot));
        if (first is null)
        {
            return null;
        }

        steps.Add($"The client's addresses and ports hash to slot {slot}, which belongs to {NameOf(first)}.");
        if (ring.HasFormer && Find(service, balancer.FormerAt(ring, (int)slot)) is { } former && former.Id != first.Id)
        {
            steps.Add($"Before the last change it belonged to {NameOf(former)}: packets of a connection that is not known here, other than SYN, take that one along as their second hop.");
        }

        if ((flags & ServiceFlags.TwoChoices) == 0)
        {
            return first;
        }

        var otherSlot = BackendChoice.OtherSlotOf(hash, (uint)ring.Slots);
        var second = Find(service, balancer.IdAt(ring, (int)otherSlot));
        if (second is null || second.Id == first.Id)
        {
            steps.Add($"The second choice, slot {otherSlot}, is the same.");
            return first;
        }

        if (second.Model.Canary != first.Model.Canary)
        {
            steps.Add($"The second choice, slot {otherSlot}, is {NameOf(second)}, but only one of the two is of the canary: the first one counts.");
            return first;
        }

        var (a, b) = (connections.OpenOf(first.Id), connections.OpenOf(second.Id));
        var takesSecond = b * first.Model.RingWeight < a * second.Model.RingWeight;
        steps.Add($"The second choice, slot {otherSlot}, is {NameOf(second)}. Open connections are {a} and {b}; for their weights {NameOf(takesSecond ? second : first)} has fewer.");
        return takesSecond ? second : first;
    }

    private static BackendState? Named(ServiceState service, ReadOnlySpan<byte> connectionId, ImmutableArray<string>.Builder steps)
    {
        var length = Balancer.QuicLengthOf(service.Model);
        if (connectionId.IsEmpty)
        {
            steps.Add($"A packet whose QUIC connection id has one of the {service.Backends.Count(b => b.Model.QuicServerId is not null)} server ids of {length} bytes goes to that backend; what follows is about other packets.");
            return null;
        }

        if (!QuicServerId.TryRead(connectionId, service.Model.QuicConfigs, length, out var id))
        {
            steps.Add($"The connection id is of another configuration, or shorter than {1 + length + QuicServerId.NonceLength} bytes: it names no backend.");
            return null;
        }

        var backend = service.Backends.FirstOrDefault(b => b.Model.QuicServerId == id);
        steps.Add(backend is null ? $"The connection id has server id {id}, which is no backend's." : $"The connection id has server id {id}: that is {NameOf(backend)}, whatever the client's address and the ring.");
        return backend;
    }

    private static IpAddress Masked(IpAddress address, int bits)
    {
        Span<byte> bytes = stackalloc byte[IpAddress.Size];
        address.WriteBytes(bytes);
        for (var bit = bits + (address.IsIPv4 ? 96 : 0); bit < 8 * IpAddress.Size; bit++)
        {
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        }

        return IpAddress.FromBytes(bytes);
    }

    private static BackendState? Find(ServiceState service, uint id) => service.Backends.FirstOrDefault(b => b.Id == id);

    private static string NameOf(BackendState backend) => EndpointText.Of(backend.Model.Address, backend.Model.Port);

    private static string WeightOf(ServiceState service, BackendState backend)
    {
        var declared = service.Model.Backends.Sum(b => b.Drain ? 0 : b.Weight);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{NameOf(backend)} has a declared weight of {backend.Model.Weight} of {declared} and holds {100 * backend.Share:0.##} % of the ring{(backend.Model.Adjusted is null ? "" : ", as traffic and health have it")}.");
    }
}
