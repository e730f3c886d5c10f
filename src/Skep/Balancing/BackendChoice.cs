using System.Runtime.CompilerServices;
using Skep.Bpf;
using Skep.Bpf.Maps;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Kernel half: gives a new connection a backend from the service's ring and enters it into the table under both keys.</summary>
internal sealed class BackendChoice(BalancerMaps maps, SignalStage? signals, ClientRules? clients, bool translatesSources)
{
    private readonly RingReader _ring = new(maps);
    private readonly ArrayMap<BackendEntry> _backends = maps.Backends;
    private readonly Tracker _connections = new(maps);
    private readonly Global<uint> _clock = maps.Clock;
    private readonly ArrayMap<long> _open = maps.Open;
    private readonly SignalStage? _signals = signals;
    private readonly ClientRules? _clients = clients;
    private readonly LpmTrie<SourceKey, byte>? _sources = translatesSources ? maps.Direct.Sources : null;
    private readonly PortAllocation? _ports = translatesSources ? new PortAllocation(maps) : null;

    // Slots that are tried when a client's port, or all own ports, are taken towards a backend: each misses as rarely as the backend holds few of the ring.
    private const int MaxAttempts = 4;

    /// <summary>Hash of a connection: the same for every packet of it, on every host.</summary>
    internal static ulong HashOf(in ConnectionKey key)
    {
        // Multiply and fold: each input bit reaches the upper half, which a multiplication maps to a ring without division.
        var hash = (key.Source.RawUpper ^ key.RawPorts) * 0x9E3779B97F4A7C15;
        hash = (hash ^ (hash >> 32) ^ key.Source.RawLower) * 0xC2B2AE3D27D4EB4F;
        return (hash ^ (hash >> 29)) * 0x165667B19E3779F9;
    }

    /// <summary>Slot of a connection: the same on every host with the same ring.</summary>
    internal static uint SlotOf(ulong hash, uint slots) => (uint)(((hash >> 32) * slots) >> 32);

    /// <summary>Another slot, independent of the first.</summary>
    internal static uint OtherSlotOf(ulong hash, uint slots) => (uint)(((ulong)(uint)(hash ^ (hash >> 32)) * slots) >> 32);

    /// <summary>Opens a connection. Gives <see cref="EdgeVerdict.Forwarded"/>, or why there is none.</summary>
    internal EdgeVerdict Open(in ConnectionKey key, in ServiceEntry service, TcpFlags flags, out Connection forward)
    {
        forward = default;
        if (_clients is not null && !_clients.Admits(in key, in service))
        {
            return EdgeVerdict.SourceRefused;
        }

        var hash = HashOf(in key);
        var slot = SlotOf(hash, service.RingSlots);
        if (_clients is not null && _clients.IsByClient(in service))
        {
            return OpenByClient(in key, in service, flags, ref forward);
        }

        if (_signals is not null && (service.Flags & ServiceFlags.TwoChoices) != 0)
        {
            var other = OtherSlotOf(hash, service.RingSlots);
            slot = IsBusier(_ring.IdAt(in service, slot), _ring.IdAt(in service, other)) ? other : slot;
        }

        var last = EdgeVerdict.PortCollision;
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            var verdict = TryOpen(in key, in service, _ring.IdAt(in service, slot), flags, ref forward);
            if (verdict != EdgeVerdict.PortCollision && (_ports is null || verdict != EdgeVerdict.PortsExhausted))
            {
                return verdict;
            }

            slot = slot + 1 < service.RingSlots ? slot + 1 : 0;
            last = _ports is null ? EdgeVerdict.PortCollision : verdict;
        }

        return last;
    }

    // One backend for all connections of a client: the one it had as long as that takes connections, whatever becomes of the ring. Another only when the client's
    // port, or all own ports, are taken towards it.
    private EdgeVerdict OpenByClient(in ConnectionKey key, in ServiceEntry service, TcpFlags flags, ref Connection forward)
    {
        var client = key;
        _clients!.Generalise(ref client, in service);
        var slot = SlotOf(HashOf(in client), service.RingSlots);
        var known = _clients.BackendOf(in client, in service);
        var id = known != 0 ? known : _ring.IdAt(in service, slot);
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            var verdict = TryOpen(in key, in service, id, flags, ref forward);
            if (verdict != EdgeVerdict.PortCollision && verdict != EdgeVerdict.PortsExhausted)
            {
                if (verdict == EdgeVerdict.Forwarded && known == 0 && attempt == 0)
                {
                    _clients.Remember(in client, in service, id);
                }

                return verdict;
            }

            slot = slot + 1 < service.RingSlots ? slot + 1 : 0;
            id = _ring.IdAt(in service, slot);
            if (attempt == MaxAttempts - 1)
            {
                return verdict;
            }
        }

        return EdgeVerdict.PortCollision;
    }

    /// <summary>Whether the connection's backend is still one.</summary>
    internal bool IsInUse(in Connection forward)
    {
        ref var backend = ref _backends.Find(forward.Backend);
        return !Unsafe.IsNullRef(ref backend) && backend.InUse != 0 && backend.Address == forward.NewAddress
            && (backend.Port == forward.NewPort || (_clients is not null && _clients.HasRanges && backend.Port.Raw == 0));
    }

    // Two random choices and the better of them (Mitzenmacher, 2001): nearly as even as the best of all, without asking all.
    private bool IsBusier(uint first, uint second)
    {
        ref var one = ref _backends.Find(first);
        ref var other = ref _backends.Find(second);
        ref var atOne = ref _open.Find(first);
        ref var atOther = ref _open.Find(second);
        if (second == 0 || Unsafe.IsNullRef(ref one) || Unsafe.IsNullRef(ref other) || Unsafe.IsNullRef(ref atOne) || Unsafe.IsNullRef(ref atOther))
        {
            return false;
        }

        return one.Group == other.Group && other.InUse != 0 && atOther * one.Weight < atOne * other.Weight;
    }

    private EdgeVerdict TryOpen(in ConnectionKey key, in ServiceEntry service, uint id, TcpFlags flags, ref Connection forward)
    {
        if (id == 0)
        {
            return EdgeVerdict.NoBackend;
        }

        ref var backend = ref _backends.Find(id);
        // Not in use, or another service's: the ring has just been moved or changed, and the client asks again.
        if (Unsafe.IsNullRef(ref backend) || backend.InUse == 0 || backend.Service != service.Id)
        {
            return EdgeVerdict.NoBackend;
        }

        var address = backend.Address;
        var port = _clients is not null && _clients.HasRanges && backend.Port.Raw == 0 ? key.DestinationPort : backend.Port;
        var addressDelta = ChecksumDelta.Of(in key.Destination, in address);
        var fullDelta = addressDelta + ChecksumDelta.Of(key.DestinationPort, port);
        var now = _clock.Value;

        // The answer's entry first: once the client's packet is on its way, the answer must be known.
        ConnectionKey replyKey;
        replyKey.Source = address;
        replyKey.Destination = key.Source;
        replyKey.RawPorts = port.Raw | (key.RawPorts << 16);
        replyKey.Protocol = key.Protocol;
        var reply = default(Connection);
        reply.NewAddress = key.Destination;
        reply.NewPort = key.DestinationPort;
        reply.AddressDelta = (-addressDelta).Raw;
        reply.FullDelta = (-fullDelta).Raw;
        reply.Direction = ConnectionDirection.Reply;
        reply.End = ConnectionEnd.None;
        reply.Backend = id;
        reply.LastSeen = now;
        if (_signals is not null)
        {
            _signals.Begin(ref forward, ref reply, (IpProtocol)key.Protocol, flags);
        }

        EdgeVerdict verdict;
        if (_ports is not null && IsTranslated(in key, in service))
        {
            reply.NewAddress = key.Source;
            reply.NewPort = key.SourcePort;
            reply.OtherPort = key.DestinationPort;
            var taken = _ports.Take(ref replyKey, ref reply, service.Id);
            verdict = (EdgeVerdict)(taken >> 32);
            forward.OtherAddress = (byte)taken;
            forward.OtherPort = replyKey.DestinationPort;
            addressDelta = -ChecksumDelta.FromRaw(reply.AddressDelta);
            fullDelta = -ChecksumDelta.FromRaw(reply.FullDelta);
        }
        else
        {
            verdict = EnterReply(in replyKey, in reply);
        }

        if (verdict != EdgeVerdict.Forwarded)
        {
            return verdict;
        }

        forward.NewAddress = address;
        forward.NewPort = port;
        forward.AddressDelta = addressDelta.Raw;
        forward.FullDelta = fullDelta.Raw;
        forward.Backend = id;
        forward.LastSeen = now;
        if (_connections.Replace(in key, in forward) < 0)
        {
            return EdgeVerdict.TableFull;
        }

        if (_signals is not null)
        {
            _signals.Began(id, (IpProtocol)key.Protocol, flags);
        }

        return EdgeVerdict.Forwarded;
    }

    private bool IsTranslated(in ConnectionKey key, in ServiceEntry service)
    {
        if ((service.Flags & ServiceFlags.OnlyOfBackends) == 0)
        {
            return (service.Flags & ServiceFlags.TranslatesSources) != 0;
        }

        var source = SourceKey.Of(service.Id | SourceKey.Backends, in key.Source);
        return !Unsafe.IsNullRef(ref _sources!.Find(in source));
    }

    private EdgeVerdict EnterReply(in ConnectionKey key, in Connection reply)
    {
        // Left over from a closed connection, or the same one whose other entry was evicted: taken over.
        // A live connection of the same client port to the same backend through another service cannot be told apart later.
        ref var existing = ref _connections.Find(in key);
        var isKnown = !Unsafe.IsNullRef(ref existing);
        if (isKnown && !existing.IsClosed && (existing.NewAddress != reply.NewAddress || existing.NewPort != reply.NewPort))
        {
            return EdgeVerdict.PortCollision;
        }

        if (isKnown)
        {
            _connections.Forget(in key);
        }

        var status = isKnown ? _connections.Replace(in key, in reply) : _connections.Enter(in key, in reply);
        return status == 0 ? EdgeVerdict.Forwarded : status == -Errno.Exists ? EdgeVerdict.PortCollision : EdgeVerdict.TableFull;
    }
}
