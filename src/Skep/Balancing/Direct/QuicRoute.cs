using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half: the backend that a QUIC packet names in its connection id, whatever address and port it comes from, so that a connection survives a client that
/// moves. Only what all versions of QUIC have in common is read (RFC 8999). Ids that clients make up themselves, in their first packets, name nobody and leave the
/// packet to the flow table and the ring.
/// </summary>
internal sealed unsafe class QuicRoute(BalancerMaps maps, FlowCache flows)
{
    private readonly ArrayMap<DirectService> _services = maps.Direct.Services;
    private readonly ArrayMap<Tunnel> _tunnels = maps.Direct.Tunnels;
    private readonly VipTableLookup _servers = new(maps.Direct.QuicServers);
    private readonly FlowCache _flows = flows;

    // Beside the backend: it was named by the packet; and to the function: flows are not remembered.
    internal const uint IsNamed = 1u << 16;
    internal const uint IsUntracked = 1u << 16;

    private const int LongHeader = 0x80;

    // In front of the connection id: the first byte; of a long header also the version and the length of the id.
    private const int ShortPrefix = 1, LongPrefix = 6;

    // What is read at once; no valid packet is shorter, because it ends in 16 bytes of authentication.
    private const int Window = 17;

    /// <summary>Says who gets a packet; a function of its own, walked once by the verifier.</summary>
    /// <param name="context">The packet.</param>
    /// <param name="offset">Where its UDP header begins.</param>
    /// <param name="service">Id of the service.</param>
    /// <param name="hash">Hash of its flow.</param>
    /// <param name="known">Backend by the flow table, 0 for none; and <see cref="IsUntracked"/>.</param>
    /// <returns>The backend that the packet names, with <see cref="IsNamed"/>, or the one by the flow table.</returns>
    [GlobalFunction]
    internal uint BackendOf(ref XdpContext context, uint offset, uint service, ulong hash, uint known)
    {
        var end = context.DataEnd;
        var udp = context.Data + (nuint)(offset & 0x3fff);
        var header = udp + sizeof(UdpHeader);
        ref var row = ref _services.Find(service);
        if (Unsafe.IsNullRef(ref row) || header + LongPrefix > end)
        {
            return known & 0xFFFF;
        }

        var length = row.QuicIdLength & 15u;
        var id = header + ShortPrefix;
        if ((*header & LongHeader) != 0)
        {
            if (header[LongPrefix - 1] < 1 + length + QuicServerId.NonceLength)
            {
                return known & 0xFFFF;
            }

            id = header + LongPrefix;
        }

        if (id + Window > end || ((row.QuicConfigs >> (*id >> 5)) & 1) == 0)
        {
            return known & 0xFFFF;
        }

        var bits = length << 3;
        var name = new IpAddress(
            Unsafe.ReadUnaligned<ulong>(id + 1) & MaskOf(bits),
            Unsafe.ReadUnaligned<ulong>(id + 9) & (bits > 64 ? MaskOf(bits - 64) : 0));
        if (!_servers.TryRead(in name, QuicServerId.KeyOf(service, length), out var slot))
        {
            return known & 0xFFFF;
        }

        var backend = (uint)slot.Service;
        ref var tunnel = ref _tunnels.Find(backend);
        if (Unsafe.IsNullRef(ref tunnel) || tunnel.Owner != service + 1)
        {
            return known & 0xFFFF;
        }

        // For ICMP errors about it, which quote no id of a server.
        if (known == 0)
        {
            _flows.Add(hash, backend);
        }

        return backend | IsNamed;
    }

    private static ulong MaskOf(uint bits) => bits >= 64 ? ulong.MaxValue : (1UL << (int)(bits & 63)) - 1;
}
