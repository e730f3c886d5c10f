using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Kernel half: gives a new connection a backend from the service's ring and enters it into the table.</summary>
internal sealed class BackendChoice(BalancerMaps maps, Tracker connections, SignalStage? signals, ClientRules? clients)
{
    private readonly RingReader _ring = new(maps);
    private readonly ArrayMap<BackendEntry> _backends = maps.Backends;
    private readonly Tracker _connections = connections;
    private readonly Global<uint> _clock = maps.Clock;
    private readonly ArrayMap<long> _open = maps.Open;
    private readonly SignalStage? _signals = signals;
    private readonly ClientRules? _clients = clients;
    private readonly LpmTrie<SourceKey, byte>? _sources = connections.Translates ? maps.Direct.Sources : null;
    private readonly PortAllocation? _ports = connections.Translates ? new PortAllocation(maps, connections) : null;

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
    /// <param name="key">The packet.</param>
    /// <param name="service">Its service.</param>
    /// <param name="flags">Its flags.</param>
    /// <param name="number">Number of the record.</param>
    internal EdgeVerdict Open(in ConnectionKey key, in ServiceEntry service, TcpFlags flags, out ulong number)
    {
        number = 0;
        if (_clients is not null && !_clients.Admits(in key, in service))
        {
            return EdgeVerdict.SourceRefused;
        }

        var hash = HashOf(in key);
        var slot = SlotOf(hash, service.RingSlots);
        if (_clients is not null && _clients.IsByClient(in service))
        {
            return OpenByClient(in key, in service, flags, ref number);
        }

        if (_signals is not null && (service.Flags & ServiceFlags.TwoChoices) != 0)
        {
            var other = OtherSlotOf(hash, service.RingSlots);
            slot = IsBusier(_ring.IdAt(in service, slot), _ring.IdAt(in service, other)) ? other : slot;
        }

        var last = EdgeVerdict.PortCollision;
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            var verdict = TryOpen(in key, in service, _ring.IdAt(in service, slot), flags, ref number);
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
    private EdgeVerdict OpenByClient(in ConnectionKey key, in ServiceEntry service, TcpFlags flags, ref ulong number)
    {
        var client = key;
        _clients!.Generalise(ref client, in service);
        var slot = SlotOf(HashOf(in client), service.RingSlots);
        var known = _clients.BackendOf(in client, in service);
        var id = known != 0 ? known : _ring.IdAt(in service, slot);
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            var verdict = TryOpen(in key, in service, id, flags, ref number);
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
    internal bool IsInUse(in Connection connection)
    {
        ref var backend = ref _backends.Find(connection.BackendId);
        return !Unsafe.IsNullRef(ref backend) && backend.InUse != 0 && backend.Address == connection.Backend
            && (backend.Port == connection.BackendPort || (_clients is not null && _clients.HasRanges && backend.Port.Raw == 0));
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

    private EdgeVerdict TryOpen(in ConnectionKey key, in ServiceEntry service, uint id, TcpFlags flags, ref ulong number)
    {
        if (id == 0)
        {
            return EdgeVerdict.NoBackend;
        }

        var written = Write(in key, service.Id, id, (uint)flags | ((uint)service.Flags << ServiceFlagsShift));
        var verdict = (EdgeVerdict)((uint)(written >> 32) & 0xFFFF);
        if (verdict != EdgeVerdict.Forwarded)
        {
            return verdict;
        }

        if (_ports is not null && (written & IsTranslatedMark) != 0)
        {
            verdict = (EdgeVerdict)_ports.Take((uint)written, service.Id);
            if (verdict != EdgeVerdict.Forwarded)
            {
                _connections.Abandon((uint)written);
                return verdict;
            }
        }

        _connections.Publish((uint)written);
        if (_signals is not null)
        {
            _signals.Began(id, (IpProtocol)key.Protocol, flags);
        }

        number = written;
        return EdgeVerdict.Forwarded;
    }

    private const int ServiceFlagsShift = 16;

    private const ulong IsTranslatedMark = 1UL << 48;

    /// <summary>Claims and writes the record of a connection that is to have a backend, but does not publish it: a function of its own, walked once by the verifier.</summary>
    /// <param name="key">The packet.</param>
    /// <param name="service">Number of the service.</param>
    /// <param name="id">The backend.</param>
    /// <param name="flags">Of the packet; above bit 15 those of the service.</param>
    /// <returns>Number of the record; from bit 32 on the verdict, bit 48 when backends are to see an own address.</returns>
    [GlobalFunction]
    private ulong Write(in ConnectionKey key, uint service, uint id, uint flags)
    {
        ref var backend = ref _backends.Find(id);
        // Not in use, or another service's: the ring has just been moved or changed, and the client asks again.
        if (Unsafe.IsNullRef(ref backend) || backend.InUse == 0 || backend.Service != service)
        {
            return (ulong)EdgeVerdict.NoBackend << 32;
        }

        var port = _clients is not null && _clients.HasRanges && backend.Port.Raw == 0 ? key.DestinationPort : backend.Port;
        var isTranslated = _ports is not null && IsTranslated(in key, service, (ServiceFlags)(flags >> ServiceFlagsShift));
        if (!isTranslated && IsTaken(in key, in backend.Address, port))
        {
            return (ulong)EdgeVerdict.PortCollision << 32;
        }

        var now = _signals is not null ? SignalStage.Now() : (uint)Helper.Jiffies64();
        var claimed = _connections.Claim(_connections.HashOf(in key.Source, key.SourcePort, (IpProtocol)key.Protocol), now);
        ref var record = ref _connections.At(claimed);
        if (claimed == 0 || Unsafe.IsNullRef(ref record))
        {
            return (ulong)EdgeVerdict.TableFull << 32;
        }

        var addressDelta = ChecksumDelta.Of(in key.Destination, in backend.Address);
        record.Client = key.Source;
        record.Virtual = key.Destination;
        record.Backend = backend.Address;
        record.Ports = port.Raw | ((ulong)key.RawPorts << 16) | ((ulong)key.Protocol << 48);
        record.AddressDelta = addressDelta.Raw;
        record.FullDelta = (addressDelta + ChecksumDelta.Of(key.DestinationPort, port)).Raw;
        record.BackendId = id;
        record.LastSeen = _clock.Value;
        record.PendingSince = now;
        record.Link = 0;
        record.End = ConnectionEnd.None;
        record.ClientPhase = ConnectionPhase.Opening;
        record.Phase = ConnectionPhase.Opening;
        record.Stage = ConnectionStage.Beginning;
        if (_signals is not null)
        {
            SignalStage.Begin(ref record, (IpProtocol)key.Protocol, (TcpFlags)flags);
        }

        return (uint)claimed | ((ulong)EdgeVerdict.Forwarded << 32) | (isTranslated ? IsTranslatedMark : 0);
    }

    // Whether answers of the backend to the client's port could not be told from those of a live connection through another service. What is left over of a closed one goes.
    private bool IsTaken(in ConnectionKey key, in IpAddress backend, NetworkUInt16 port)
    {
        var found = _connections.FindReply(in backend, in key.Source, port.Raw | (key.RawPorts << 16), key.Protocol);
        if (found == 0)
        {
            return false;
        }

        ref var existing = ref _connections.At(Tracker.NumberOf(found));
        if (Unsafe.IsNullRef(ref existing))
        {
            return false;
        }

        if (existing.IsClosed)
        {
            _connections.Release(Tracker.NumberOf(found));
            return false;
        }

        return existing.Virtual != key.Destination || existing.VirtualPort != key.DestinationPort;
    }

    private bool IsTranslated(in ConnectionKey key, uint service, ServiceFlags flags)
    {
        if ((flags & ServiceFlags.OnlyOfBackends) == 0)
        {
            return (flags & ServiceFlags.TranslatesSources) != 0;
        }

        var source = SourceKey.Of(service | SourceKey.Backends, in key.Source);
        return !Unsafe.IsNullRef(ref _sources!.Find(in source));
    }
}
