using Skep.Bpf;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>Backends by the server ids in QUIC connection ids.</summary>
public sealed partial class Balancer
{
    private readonly VipTable _quicServers;

    // Services that have entries in the table, so that others cost nothing.
    private readonly HashSet<uint> _quicServices;

    /// <summary>Bytes of the server ids of a service; 0 when connection ids name nobody.</summary>
    internal static byte QuicLengthOf(ServiceModel service) => service is { QuicConfigs: not 0, Protocol: IpProtocol.Udp }
        ? (byte)(service.Backends.FirstOrDefault(b => b.QuicServerId is not null)?.QuicServerId?.Length ?? 0)
        : (byte)0;

    // New ids first, old ones last, as everywhere.
    private void WriteQuicServers(
        ServiceModel service, uint serviceId, IEnumerable<(Member Member, BackendModel Model)> members, Action<BalancerProblemKind, string> report)
    {
        var length = QuicLengthOf(service);
        var written = new HashSet<(IpAddress, uint)>();
        foreach (var (member, model) in length > 0 ? members : [])
        {
            if (model.QuicServerId is not { } id || member.Id >= _maps.Direct.Tunnels.MaxEntries)
            {
                continue;
            }

            if (id.Length != length || !written.Add((id.Bytes, id.KeyOf(serviceId))))
            {
                report(BalancerProblemKind.BadServerId, $"QUIC server id {id} of backend {model.Address} is another's too, or of another length; clients that move lose their connections to it.");
                continue;
            }

            var slot = new VipSlot { Address = id.Bytes, Key = id.KeyOf(serviceId), Service = (ushort)member.Id };
            _quicServices.Add(serviceId);
            if (_quicServers.Set(in slot) is var status and < 0)
            {
                report(
                    BalancerProblemKind.WriteFailed,
                    $"QUIC server id {id} of backend {model.Address} finds no room ({Errno.NameOf(status)}); clients that move lose their connections to it.");
            }
        }

        RemoveQuicServers(serviceId, written);
    }

    private void RemoveQuicServers(uint serviceId, HashSet<(IpAddress, uint)> except)
    {
        if (!_quicServices.Contains(serviceId))
        {
            return;
        }

        foreach (var slot in _quicServers.Entries.Where(s => (s.Key & 0xFFFF) == serviceId && !except.Contains((s.Address, s.Key))).ToArray())
        {
            _quicServers.Remove(slot.Address, slot.Key);
        }

        if (except.Count == 0)
        {
            _quicServices.Remove(serviceId);
        }
    }
}
