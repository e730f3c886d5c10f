using System.Runtime.CompilerServices;
using Skep.Bpf;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half: gives a connection an own address and port that the backend sees. A port is taken by entering the answer's key if nobody has it, which is one
/// step for all CPUs; so a port of an address is used once for each backend, and again for the next one.
/// </summary>
internal sealed class PortAllocation(BalancerMaps maps)
{
    // Ports that are tried: with the range half full one of 65,000 connections finds none, with four fifths taken one of 36.
    private const int MaxAttempts = 16;

    private readonly Tracker _connections = new(maps);
    private readonly ArrayMap<SourcePool> _pools = maps.SourcePools;

    /// <summary>
    /// Enters the answer's entry under a free port: a function of its own, walked once by the verifier. The key comes with the backend's half of it, and
    /// the entry with the client in it and the differences of the backend's half; both leave complete.
    /// </summary>
    /// <returns>Number of the own address, the verdict above bit 31.</returns>
    [GlobalFunction]
    internal ulong Take(ref ConnectionKey key, ref Connection reply, uint service)
    {
        // Other bits of the connection's hash than those that chose the backend.
        ConnectionKey client;
        client.Source = reply.NewAddress;
        client.Destination = default;
        client.RawPorts = reply.NewPort.Raw | ((uint)reply.OtherPort.Raw << 16);
        client.Protocol = 0;
        var hash = BackendChoice.HashOf(in client);
        var spread = (uint)(hash ^ (hash >> 32));
        var addressDelta = ChecksumDelta.FromRaw(reply.AddressDelta);
        var fullDelta = ChecksumDelta.FromRaw(reply.FullDelta);
        var closed = 0u;
        for (var attempt = 0u; attempt <= MaxAttempts; attempt++)
        {
            // At the end, a port whose connection is closed and not yet forgotten.
            var isLast = attempt == MaxAttempts;
            if (isLast && closed == 0)
            {
                break;
            }

            var turn = isLast ? closed - 1 : attempt;
            ref var first = ref _pools.Find(service * SourcePool.MostAddresses);
            if (Unsafe.IsNullRef(ref first) || first.Pools == 0 || first.Ports == 0)
            {
                break;
            }

            // All pools of a service have the same ports. The step is odd and large, so that neighbours do not follow each other into the same ones.
            var place = (spread + (turn * 40503u)) % ((uint)first.Pools * first.Ports);
            ref var pool = ref _pools.Find((service * SourcePool.MostAddresses) + (place % first.Pools));
            if (Unsafe.IsNullRef(ref pool) || pool.Ports == 0)
            {
                break;
            }

            var port = NetworkUInt16.From((ushort)(pool.FirstPort + (place / first.Pools)));
            key.Destination = pool.Address;
            key.RawPorts = (key.RawPorts & 0xFFFF) | ((uint)port.Raw << 16);
            var change = ChecksumDelta.Of(in pool.Address, in reply.NewAddress);
            reply.AddressDelta = (addressDelta + change).Raw;
            reply.FullDelta = (fullDelta + change + ChecksumDelta.Of(port, reply.NewPort)).Raw;
            reply.OtherAddress = pool.VirtualNumber;
            ref var known = ref _connections.Find(in key);
            if (!Unsafe.IsNullRef(ref known) && !isLast)
            {
                // Its own, left over when the other entry was evicted or the connection closed.
                if (known.NewAddress != reply.NewAddress || known.NewPort != reply.NewPort || known.OtherPort != reply.OtherPort
                    || known.OtherAddress != reply.OtherAddress)
                {
                    closed = closed == 0 && known.IsClosed ? attempt + 1 : closed;
                    continue;
                }
            }

            var isNew = Unsafe.IsNullRef(ref known);
            if (!isNew)
            {
                _connections.Forget(in key);
            }

            var status = isNew ? _connections.Enter(in key, in reply) : _connections.Replace(in key, in reply);
            if (status == 0)
            {
                return ((ulong)EdgeVerdict.Forwarded << 32) | pool.Number;
            }

            if (status != -Errno.Exists)
            {
                return (ulong)EdgeVerdict.TableFull << 32;
            }
        }

        return (ulong)EdgeVerdict.PortsExhausted << 32;
    }
}
