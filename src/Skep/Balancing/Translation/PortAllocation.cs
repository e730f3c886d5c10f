using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half: gives a connection an own address and port that the backend sees, by a record of its own that answers are found by. A port of an address is used once for
/// each backend, and again for the next one.
/// </summary>
internal sealed class PortAllocation(BalancerMaps maps, Tracker connections)
{
    // Ports that are tried: with the range half full one of 65,000 connections finds none, with four fifths taken one of 36.
    private const int MaxAttempts = 16;

    // Odd and large, so that neighbours do not follow each other into the same ports.
    private const uint Step = 40503;

    // Beyond all verdicts.
    private const uint IsClosed = 1u << 31;

    private readonly Tracker _connections = connections;
    private readonly ArrayMap<SourcePool> _pools = maps.SourcePools;
    private readonly Global<uint> _clock = maps.Clock;

    /// <summary>
    /// Finds a free port for a connection that is claimed, written but for what is here, and not published: a function of its own, walked once by the verifier.
    /// </summary>
    /// <param name="number">The connection's record.</param>
    /// <param name="service">Its service.</param>
    /// <returns>An <see cref="EdgeVerdict"/>.</returns>
    [GlobalFunction]
    internal uint Take(uint number, uint service)
    {
        ref var record = ref _connections.At(number);
        if (Unsafe.IsNullRef(ref record))
        {
            return (uint)EdgeVerdict.TableFull;
        }

        // Other bits of the connection's hash than those that chose the backend.
        ConnectionKey client;
        client.Source = record.Client;
        client.Destination = default;
        client.RawPorts = record.RawPorts;
        client.Protocol = 0;
        var hash = BackendChoice.HashOf(in client);
        var spread = (uint)(hash ^ (hash >> 32));
        var closed = 0u;
        for (var attempt = 0u; attempt < MaxAttempts; attempt++)
        {
            var tried = Try(number, service, spread + (attempt * Step), mayReplace: 0);
            if (tried != IsClosed && tried != (uint)EdgeVerdict.PortCollision)
            {
                return tried;
            }

            closed = closed == 0 && tried == IsClosed ? attempt + 1 : closed;
        }

        // At the end, a port whose connection is closed and not yet forgotten.
        var last = closed == 0 ? IsClosed : Try(number, service, spread + ((closed - 1) * Step), mayReplace: 1);
        return last == IsClosed || last == (uint)EdgeVerdict.PortCollision ? (uint)EdgeVerdict.PortsExhausted : last;
    }

    /// <summary>Tries one port, in a function of its own: the verifier walks it once, and not for every attempt.</summary>
    /// <param name="number">The connection's record.</param>
    /// <param name="service">Its service.</param>
    /// <param name="spread">Which of the ports of the service.</param>
    /// <param name="mayReplace">Whether a closed connection that has the port goes, as 0 or 1.</param>
    /// <returns>An <see cref="EdgeVerdict"/>, of which <see cref="EdgeVerdict.PortCollision"/> says that the port is taken; <see cref="IsClosed"/> by a closed connection.</returns>
    [GlobalFunction]
    private uint Try(uint number, uint service, uint spread, uint mayReplace)
    {
        ref var record = ref _connections.At(number);
        ref var first = ref _pools.Find(service * SourcePool.MostAddresses);
        if (Unsafe.IsNullRef(ref record) || Unsafe.IsNullRef(ref first) || first.Pools == 0 || first.Ports == 0)
        {
            return (uint)EdgeVerdict.PortsExhausted;
        }

        // All pools of a service have the same ports.
        var place = spread % (first.Pools * first.Ports);
        ref var pool = ref _pools.Find((service * SourcePool.MostAddresses) + (place % first.Pools));
        if (Unsafe.IsNullRef(ref pool) || pool.Ports == 0)
        {
            return (uint)EdgeVerdict.PortsExhausted;
        }

        var port = NetworkUInt16.From((ushort)(pool.FirstPort + (place / first.Pools)));
        var found = _connections.FindReply(in record.Backend, in pool.Address, record.BackendPort.Raw | ((uint)port.Raw << 16), (uint)record.Protocol);
        ref var known = ref _connections.At(Tracker.NumberOf(found));
        if (found != 0 && !Unsafe.IsNullRef(ref known))
        {
            if (mayReplace == 0 || !known.IsClosed)
            {
                return known.IsClosed ? IsClosed : (uint)EdgeVerdict.PortCollision;
            }

            _connections.Release(Tracker.NumberOf(found));
        }

        return (uint)Enter(number, in pool.Address, port);
    }

    // Gives PortCollision when another CPU took the port at the same time.
    private EdgeVerdict Enter(uint number, in IpAddress address, NetworkUInt16 port)
    {
        ref var record = ref _connections.At(number);
        if (Unsafe.IsNullRef(ref record))
        {
            return EdgeVerdict.TableFull;
        }

        var hash = _connections.HashOf(in address, port, record.Protocol);
        var claimed = _connections.Claim(hash, record.PendingSince);
        ref var alias = ref _connections.At(claimed);
        if (claimed == 0 || Unsafe.IsNullRef(ref alias))
        {
            return EdgeVerdict.TableFull;
        }

        alias.Client = address;
        alias.Virtual = default;
        alias.Backend = record.Backend;
        alias.Ports = ((ulong)port.Raw << 16) | (record.Ports & 0x00FF_0000_0000_FFFF) | ((ulong)ConnectionKind.Alias << 56);
        alias.AddressDelta = 0;
        alias.FullDelta = 0;
        alias.BackendId = record.BackendId;
        alias.LastSeen = _clock.Value;
        alias.PendingSince = record.PendingSince;
        alias.Link = number;
        alias.End = ConnectionEnd.None;
        alias.ClientPhase = ConnectionPhase.Answered;
        alias.Phase = ConnectionPhase.Answered;
        alias.Stage = ConnectionStage.Beginning;
        _connections.Publish((uint)claimed);

        // Whoever publishes last sees the other one: of two at once at least one goes on to the next port.
        if (_connections.CountReplies(in record.Backend, in address, record.BackendPort.Raw | ((uint)port.Raw << 16), (uint)record.Protocol) > 1)
        {
            _connections.Release((uint)claimed);
            return EdgeVerdict.PortCollision;
        }

        var change = ChecksumDelta.Of(in record.Client, in address);
        record.FullDelta = (ChecksumDelta.FromRaw(record.FullDelta) + change + ChecksumDelta.Of(record.ClientPort, port)).Raw;
        record.AddressDelta = (ChecksumDelta.FromRaw(record.AddressDelta) + change).Raw;
        record.Ports |= (ulong)ConnectionKind.Translated << 56;
        record.Link = (uint)claimed;
        return EdgeVerdict.Forwarded;
    }
}
