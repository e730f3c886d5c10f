using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Edge.Tracing;

/// <summary>
/// Kernel half: writes down the packets of one connection as they come and as they leave, and what was found on their way. Only part of a program while something is traced; most of
/// it is in functions of their own, before and after everything else.
/// </summary>
internal sealed unsafe class TraceStage
{
    private readonly Global<TraceFilter> _filter;
    private readonly RingBuffer<TraceRecord> _events;
    private readonly PerCpuArrayMap<ulong> _lost;
    private readonly PerCpuArrayMap<TraceRecord> _scratch;

    internal TraceStage(EdgeMaps maps)
    {
        _filter = maps.Trace.Filter;
        _events = maps.Trace.Events;
        _lost = maps.Trace.Lost;
        _scratch = maps.Trace.Scratch;
    }

    /// <summary>A packet came in at XDP.</summary>
    [GlobalFunction]
    internal int Enter(ref XdpContext context)
    {
        var data = context.Data;
        var end = context.DataEnd;
        ref var record = ref _scratch.Find(0u);
        if (!Unsafe.IsNullRef(ref record))
        {
            Begin(ref record, TraceMarks.Ethernet, context.IngressInterface, (uint)(end - data));
            Note(ref record, IpPacket.Parse(data, end, out var packet), in packet, data, end);
        }

        return 0;
    }

    /// <summary>A packet came in at traffic control.</summary>
    [GlobalFunction]
    internal int Enter(ref TcContext context, uint hasEthernetHeader)
    {
        var data = context.Data;
        var end = context.DataEnd;
        ref var record = ref _scratch.Find(0u);
        if (!Unsafe.IsNullRef(ref record))
        {
            Begin(ref record, TraceMarks.TrafficControl | (hasEthernetHeader != 0 ? TraceMarks.Ethernet : 0), context.IngressInterface, context.Length);
            IpPacket packet;
            var status = hasEthernetHeader != 0
                ? IpPacket.Parse(data, end, out packet)
                : IpPacket.ParseNetwork(data, end, NetworkUInt16.FromRaw((ushort)context.Protocol) == EtherTypes.IPv6, out packet);
            Note(ref record, status, in packet, data, end);
        }

        return 0;
    }

    /// <summary>A packet of a client was given to a backend.</summary>
    internal void Given(uint backend, uint isNew)
    {
        ref var record = ref _scratch.Find(0u);
        if (!Unsafe.IsNullRef(ref record))
        {
            record.Backend = backend;
            record.IsNew = isNew;
        }
    }

    /// <summary>It was decided.</summary>
    internal void Decided(EdgeVerdict verdict)
    {
        ref var record = ref _scratch.Find(0u);
        if (!Unsafe.IsNullRef(ref record))
        {
            record.Verdict = (uint)verdict;
        }
    }

    /// <summary>The packet leaves XDP.</summary>
    [GlobalFunction]
    internal int Leave(ref XdpContext context, uint action)
    {
        var data = context.Data;
        var end = context.DataEnd;
        ref var record = ref _scratch.Find(0u);
        if (!Unsafe.IsNullRef(ref record) && (record.Marks & TraceMarks.HasPorts) != 0)
        {
            if ((record.Marks & TraceMarks.Request) == 0)
            {
                NoteReply(ref record, IpPacket.Parse(data, end, out var packet), in packet, end);
            }

            End(ref record, data, end, (uint)(end - data), action);
        }

        return 0;
    }

    /// <summary>The packet leaves traffic control.</summary>
    [GlobalFunction]
    internal int Leave(ref TcContext context, uint action, uint hasEthernetHeader)
    {
        var data = context.Data;
        var end = context.DataEnd;
        ref var record = ref _scratch.Find(0u);
        if (!Unsafe.IsNullRef(ref record) && (record.Marks & TraceMarks.HasPorts) != 0)
        {
            if ((record.Marks & TraceMarks.Request) == 0)
            {
                IpPacket packet;
                var status = hasEthernetHeader != 0
                    ? IpPacket.Parse(data, end, out packet)
                    : IpPacket.ParseNetwork(data, end, NetworkUInt16.FromRaw((ushort)context.Protocol) == EtherTypes.IPv6, out packet);
                NoteReply(ref record, status, in packet, end);
            }

            End(ref record, data, end, context.Length, action);
        }

        return 0;
    }

    private static void Begin(ref TraceRecord record, TraceMarks marks, uint device, uint length)
    {
        record.Marks = marks;
        record.Interface = device;
        record.LengthBefore = length;
        record.Verdict = (uint)EdgeVerdict.Passed;
        record.IsNew = 0;
        record.Backend = 0;
    }

    private void Note(ref TraceRecord record, ParseStatus status, in IpPacket packet, byte* data, byte* end)
    {
        if (status != ParseStatus.Ip || packet.Fragment == FragmentKind.Later || packet.Protocol is not (IpProtocol.Tcp or IpProtocol.Udp) || packet.Transport + sizeof(UdpHeader) > end)
        {
            return;
        }

        record.Flow.Source = packet.Source;
        record.Flow.Destination = packet.Destination;
        record.Flow.RawPorts = Unsafe.ReadUnaligned<uint>(packet.Transport);
        record.Flow.Protocol = (uint)packet.Protocol;
        record.Marks |= TraceMarks.HasPorts;
        ref var first = ref Unsafe.As<TraceRecord.BytesBefore, ulong>(ref record.Before);
        for (var i = 0; i < TraceRecord.BytesBefore.Words; i++)
        {
            Unsafe.Add(ref first, i) = data + ((i + 1) * sizeof(ulong)) <= end ? Unsafe.ReadUnaligned<ulong>(data + (i * sizeof(ulong))) : 0;
        }

        ref var filter = ref _filter.Value;
        if (filter.Protocol == record.Flow.Protocol && filter.Service == record.Flow.Destination && filter.Client == record.Flow.Source && HasPorts(filter.RawPorts, record.Flow.RawPorts))
        {
            record.Marks |= TraceMarks.Request;
        }
    }

    private void NoteReply(ref TraceRecord record, ParseStatus status, in IpPacket packet, byte* end)
    {
        ref var filter = ref _filter.Value;
        if (record.Verdict != (uint)EdgeVerdict.Replied || status != ParseStatus.Ip || packet.Fragment == FragmentKind.Later || (uint)packet.Protocol != filter.Protocol || packet.Transport + sizeof(UdpHeader) > end
            || packet.Source != filter.Service || packet.Destination != filter.Client)
        {
            return;
        }

        var ports = Unsafe.ReadUnaligned<uint>(packet.Transport);
        if (HasPorts(filter.RawPorts, (ports << 16) | (ports >> 16)))
        {
            record.Marks |= TraceMarks.Reply;
        }
    }

    private void End(ref TraceRecord record, byte* data, byte* end, uint length, uint action)
    {
        if ((record.Marks & (TraceMarks.Request | TraceMarks.Reply)) == 0)
        {
            return;
        }

        record.Time = Helper.KtimeGetNs();
        record.LengthAfter = length;
        record.Action = action;
        ref var first = ref Unsafe.As<TraceRecord.BytesAfter, ulong>(ref record.After);
        for (var i = 0; i < TraceRecord.BytesAfter.Words; i++)
        {
            Unsafe.Add(ref first, i) = data + ((i + 1) * sizeof(ulong)) <= end ? Unsafe.ReadUnaligned<ulong>(data + (i * sizeof(ulong))) : 0;
        }

        if (_events.Output(in record) < 0)
        {
            ref var lost = ref _lost.Find(0u);
            if (!Unsafe.IsNullRef(ref lost))
            {
                lost++;
            }
        }
    }

    private static bool HasPorts(uint wanted, uint ports) => wanted >> 16 == ports >> 16 && ((wanted & 0xFFFF) == 0 || (wanted & 0xFFFF) == (ports & 0xFFFF));
}
