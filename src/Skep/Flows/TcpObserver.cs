using Skep.Packets;

namespace Skep.Flows;

/// <summary>
/// Kernel half: what a TCP header says about a flow. Round trips are measured between a packet and what answers it: a SYN and the acknowledgment
/// after it, later a timestamp value and its echo (RFC 7323 appendix A), never on retransmits (Karn's rule).
/// </summary>
internal sealed unsafe class TcpObserver
{
    private const TcpFlags Ending = TcpFlags.Fin | TcpFlags.Rst;

    /// <summary>Takes a packet of direction <paramref name="mine"/> into account; tells whether it ends the flow.</summary>
    /// <param name="mine">The direction of the packet.</param>
    /// <param name="other">The opposite direction.</param>
    /// <param name="tcp">The header, its first 20 bytes checked.</param>
    /// <param name="end">One past the last readable byte.</param>
    /// <param name="payload">Bytes of data behind the header.</param>
    /// <param name="now">Monotonic nanoseconds.</param>
    internal FlowEnd Observe(ref FlowDirection mine, ref FlowDirection other, TcpHeader* tcp, byte* end, uint payload, ulong now)
    {
        var flags = tcp->Flags;
        mine.Flags |= (uint)flags;
        var isRetransmit = Sequence(ref mine, tcp->Sequence.Value, flags, payload);
        if ((flags & TcpFlags.Syn) != 0)
        {
            if ((flags & TcpFlags.Ack) != 0)
            {
                Answer(ref other, now);
            }

            // Which of several SYNs was answered cannot be told.
            mine.PendingSince = isRetransmit ? 0 : now;
            mine.Flags = isRetransmit ? mine.Flags & ~(uint)FlowFlags.HandshakePending : mine.Flags | (uint)FlowFlags.HandshakePending;
        }
        else
        {
            if ((other.Flags & (uint)FlowFlags.HandshakePending) != 0 && (flags & TcpFlags.Ack) != 0)
            {
                Answer(ref other, now);
            }

            if (TcpTimestamps.TryFind(tcp, tcp->HeaderLength, end, out var timestamps))
            {
                Echo(ref other, timestamps.Echo, now);
                Await(ref mine, timestamps.Value, payload, isRetransmit, now);
            }
        }

        if ((flags & Ending) == 0)
        {
            return FlowEnd.None;
        }

        if ((flags & TcpFlags.Rst) != 0)
        {
            return FlowEnd.Reset;
        }

        return (other.Flags & (uint)TcpFlags.Fin) != 0 ? FlowEnd.Finished : FlowEnd.None;
    }

    private static bool Sequence(ref FlowDirection mine, uint sequence, TcpFlags flags, uint payload)
    {
        var length = payload + ((flags & (TcpFlags.Syn | TcpFlags.Fin)) != 0 ? 1u : 0u);
        if (length == 0)
        {
            return false;
        }

        // A SYN far away from what was sent is not sent again: the same ports begin anew, and so does the sequence.
        var sent = mine.NextSequence - sequence;
        if ((mine.Flags & (uint)FlowFlags.Sequenced) != 0 && (int)sent > 0 && ((flags & TcpFlags.Syn) == 0 || sent <= ushort.MaxValue))
        {
            mine.Retransmits++;
            // A retransmit that also carries new data moves on.
            if ((int)(sequence + length - mine.NextSequence) > 0)
            {
                mine.NextSequence = sequence + length;
            }

            return true;
        }

        mine.NextSequence = sequence + length;
        mine.Flags |= (uint)FlowFlags.Sequenced;
        return false;
    }

    /// <summary>The acknowledgment of a SYN.</summary>
    private static void Answer(ref FlowDirection asked, ulong now)
    {
        if ((asked.Flags & (uint)FlowFlags.HandshakePending) == 0)
        {
            return;
        }

        asked.Flags &= ~(uint)FlowFlags.HandshakePending;
        asked.HandshakeRtt = Since(asked.PendingSince, now);
        asked.PendingSince = 0;
        Sample(ref asked, asked.HandshakeRtt);
    }

    private static void Echo(ref FlowDirection asked, uint echo, ulong now)
    {
        if (asked.PendingSince == 0 || (int)(echo - asked.PendingTimestamp) < 0)
        {
            return;
        }

        var rtt = Since(asked.PendingSince, now);
        asked.PendingSince = 0;
        Sample(ref asked, rtt);
    }

    // Only data is answered at once; a bare acknowledgment's timestamp is echoed whenever the other side has something to say.
    private static void Await(ref FlowDirection mine, uint value, uint payload, bool isRetransmit, ulong now)
    {
        if (isRetransmit)
        {
            mine.PendingSince = 0;
            mine.PendingTimestamp = value;
            return;
        }

        if (payload == 0 || mine.PendingSince != 0 || (mine.PendingTimestamp != 0 && (int)(value - mine.PendingTimestamp) <= 0))
        {
            return;
        }

        mine.PendingSince = now;
        mine.PendingTimestamp = value;
    }

    private static void Sample(ref FlowDirection direction, uint rtt)
    {
        var samples = direction.RttSamples;
        direction.RttSamples = samples + 1;
        if (samples == 0)
        {
            direction.SmoothedRtt = rtt;
            direction.MinimumRtt = rtt;
            return;
        }

        var smoothed = direction.SmoothedRtt;
        direction.SmoothedRtt = smoothed - (smoothed >> 3) + (rtt >> 3);
        if (rtt < direction.MinimumRtt)
        {
            direction.MinimumRtt = rtt;
        }
    }

    // At most 4.29 s, at least 1 ns so that zero can mean unknown; clocks of two CPUs may differ by less than that.
    private static uint Since(ulong start, ulong now)
    {
        if (now <= start)
        {
            return 1;
        }

        var elapsed = now - start;
        return elapsed > uint.MaxValue ? uint.MaxValue : (uint)elapsed;
    }
}
