using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Flows;

/// <summary>Which hook of an interface a flow program is for.</summary>
public enum FlowHook
{
    /// <summary>Packets that come in: the receiver is local.</summary>
    Ingress,
    /// <summary>Packets that go out: the sender is local.</summary>
    Egress,
}

/// <summary>
/// Accounts for every packet of an interface and never decides about one. One lookup and one reading of the clock per packet; the rest happens in the
/// entry. Two objects over the same maps, one per hook, see both directions of a flow.
/// </summary>
public sealed unsafe class FlowProgram : TcProgram
{
    // Enough for Ethernet, two tags, IPv6 with some extension headers and TCP with options.
    private const uint PulledBytes = 192;

    private readonly LruHashMap<FlowKey, FlowEntry> _table;
    private readonly RingBuffer<FlowEntry> _ended;
    private readonly PerCpuArrayMap<ulong> _counters;
    private readonly TcpObserver _tcp = new();
    private readonly bool _egress;

    /// <summary>A program for one hook.</summary>
    public FlowProgram(FlowMaps maps, FlowHook hook)
    {
        ArgumentNullException.ThrowIfNull(maps);
        _table = maps.Table;
        _ended = maps.Ended;
        _counters = maps.Counters;
        _egress = hook == FlowHook.Egress;
    }

    /// <inheritdoc/>
    public override string Name => _egress ? "skep_flow_out" : "skep_flow_in";

    /// <inheritdoc/>
    public override TcAction Run(ref TcContext context)
    {
        // Twice at most: headers beyond the linear part of the buffer are pulled into it once.
        for (var attempt = 0; attempt < 2; attempt++)
        {
            var data = context.Data;
            var end = context.DataEnd;
            if (Observe(ref context, data, end))
            {
                return TcAction.Unspec;
            }

            var length = context.Length;
            if ((ulong)(end - data) >= length)
            {
                break;
            }

            if (context.PullData(length < PulledBytes ? length : PulledBytes) < 0)
            {
                break;
            }
        }

        Count(FlowCounter.Malformed);
        return TcAction.Unspec;
    }

    /// <summary>Accounts for the packet; false when its headers are not there as far as they are readable.</summary>
    private bool Observe(ref TcContext context, byte* data, byte* end)
    {
        var status = IpPacket.Parse(data, end, out var packet);
        if (status == ParseStatus.NotIp)
        {
            Count(FlowCounter.NotIp);
            return true;
        }

        if (status != ParseStatus.Ip)
        {
            return false;
        }

        var rawPorts = 0u;
        var headers = (uint)(packet.Transport - data);
        var isTcp = false;
        if (packet.Fragment != FragmentKind.Later)
        {
            if (packet.Protocol == IpProtocol.Tcp)
            {
                if (packet.Transport + sizeof(TcpHeader) > end)
                {
                    return false;
                }

                rawPorts = *(uint*)packet.Transport;
                headers += ((TcpHeader*)packet.Transport)->HeaderLength;
                isTcp = true;
            }
            else if (packet.Protocol == IpProtocol.Udp)
            {
                if (packet.Transport + sizeof(UdpHeader) > end)
                {
                    return false;
                }

                rawPorts = *(uint*)packet.Transport;
                headers += (uint)sizeof(UdpHeader);
            }
        }

        FlowKey key;
        key.Local = _egress ? packet.Source : packet.Destination;
        key.Remote = _egress ? packet.Destination : packet.Source;
        key.RawPorts = _egress ? rawPorts : (rawPorts << 16) | (rawPorts >> 16);
        key.Interface = context.Interface;
        key.Protocol = (uint)packet.Protocol;
        key.Reserved = 0;
        var now = Helper.KtimeGetNs();
        ref var entry = ref _table.Find(in key);
        if (Unsafe.IsNullRef(ref entry))
        {
            Create(in key, now, UpdateMode.NoExist);
            entry = ref _table.Find(in key);
            if (Unsafe.IsNullRef(ref entry))
            {
                Count(FlowCounter.TableFull);
                return true;
            }
        }
        else if (entry.End != FlowEnd.None && isTcp && (((TcpHeader*)packet.Transport)->Flags & (TcpFlags.Syn | TcpFlags.Ack)) == TcpFlags.Syn)
        {
            // The same ports again after the end: another flow. With ECN, a SYN has more flags (RFC 3168 section 6.1.1).
            Create(in key, now, UpdateMode.Any);
            entry = ref _table.Find(in key);
            if (Unsafe.IsNullRef(ref entry))
            {
                Count(FlowCounter.TableFull);
                return true;
            }
        }

        var segments = context.GsoSegments;
        segments = segments == 0 ? 1 : segments;
        var bytes = context.Length + ((segments - 1) * headers);
        entry.LastSeen = now;
        if (_egress)
        {
            Add(ref entry.Sent, segments, bytes);
        }
        else
        {
            Add(ref entry.Received, segments, bytes);
        }

        if (isTcp)
        {
            var tcp = (TcpHeader*)packet.Transport;
            var payload = PayloadOf(in packet, context.Length, headers, data);
            var ended = _egress
                ? _tcp.Observe(ref entry.Sent, ref entry.Received, tcp, end, payload, now)
                : _tcp.Observe(ref entry.Received, ref entry.Sent, tcp, end, payload, now);
            if (ended != FlowEnd.None && entry.End == FlowEnd.None)
            {
                entry.End = ended;
                if (_ended.Output(in entry) < 0)
                {
                    Count(FlowCounter.LostEvents);
                }
            }
        }

        return true;
    }

    private void Create(in FlowKey key, ulong now, UpdateMode mode)
    {
        var entry = default(FlowEntry);
        entry.Key = key;
        entry.FirstSeen = now;
        entry.OpenedLocally = _egress ? 1u : 0u;
        if (_table.Update(in key, in entry, mode) == 0)
        {
            Count(FlowCounter.Created);
        }
    }

    private static void Add(ref FlowDirection direction, uint packets, uint bytes)
    {
        // Two CPUs may see packets of one direction at once, and the sum must be exact.
        Interlocked.Add(ref direction.Packets, packets);
        Interlocked.Add(ref direction.Bytes, bytes);
    }

    // By the IP header's length where it has one, because short frames are padded; super-packets beyond 64 KiB have none.
    private static uint PayloadOf(in IpPacket packet, uint length, uint headers, byte* data)
    {
        var link = (uint)(packet.Network - data);
        var claimed = packet.IsIPv6
            ? (uint)((IPv6Header*)packet.Network)->PayloadLength.Value
            : ((IPv4Header*)packet.Network)->TotalLength.Value;
        if (claimed != 0)
        {
            length = claimed + link + (packet.IsIPv6 ? (uint)sizeof(IPv6Header) : 0);
        }

        return length > headers ? length - headers : 0;
    }

    private void Count(FlowCounter counter)
    {
        ref var count = ref _counters.Find((uint)counter);
        if (!Unsafe.IsNullRef(ref count))
        {
            count++;
        }
    }
}
