using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half: measures backends by the packets that pass anyway. The clock is read when a connection begins, when its handshake is answered, with
/// its first request and the first byte of the answer, and once a second for requests that follow; all other packets cost one comparison.
/// </summary>
internal sealed unsafe class SignalStage(BalancerMaps maps)
{
    private readonly PerCpuArrayMap<BackendSignals> _signals = maps.Signals;
    private readonly TimeHistogram _histograms = new(maps);
    private readonly ArrayMap<long> _open = maps.Open;

    /// <summary>Time in ticks; wraps after 73 minutes.</summary>
    internal static uint Now() => (uint)(Helper.KtimeGetNs() >> 10);

    /// <summary>Whether a packet carries data; UDP always does.</summary>
    internal static bool HasPayload(in IpPacket packet)
    {
        if (packet.Protocol != IpProtocol.Tcp)
        {
            return true;
        }

        var headers = (uint)(packet.Transport - packet.Network) + ((TcpHeader*)packet.Transport)->HeaderLength;
        var length = packet.IsIPv6
            ? ((IPv6Header*)packet.Network)->PayloadLength.Value + (uint)sizeof(IPv6Header)
            : ((IPv4Header*)packet.Network)->TotalLength.Value;
        return length > headers;
    }

    /// <summary>A connection begins, now: what is waited for.</summary>
    internal static void Begin(ref Connection connection, IpProtocol protocol, TcpFlags flags)
    {
        if (protocol != IpProtocol.Tcp)
        {
            connection.ClientPhase = ConnectionPhase.Answered;
            connection.Phase = ConnectionPhase.Asked;
            return;
        }

        // One without SYN began elsewhere: its handshake is over.
        var isSyn = (flags & (TcpFlags.Syn | TcpFlags.Ack)) == TcpFlags.Syn;
        connection.ClientPhase = ConnectionPhase.Opening;
        connection.Phase = isSyn ? ConnectionPhase.Opening : ConnectionPhase.Open;
    }

    /// <summary>The connection that <see cref="Begin"/> was told of is in the table.</summary>
    internal void Began(uint backend, IpProtocol protocol, TcpFlags flags)
    {
        ref var signals = ref _signals.Find(backend);
        if (Unsafe.IsNullRef(ref signals))
        {
            return;
        }

        if (protocol != IpProtocol.Tcp)
        {
            signals.Requests++;
            return;
        }

        signals.Opened += (flags & TcpFlags.Syn) != 0 ? 1u : 0u;
        ref var open = ref _open.Find(backend);
        if (!Unsafe.IsNullRef(ref open))
        {
            Interlocked.Increment(ref open);
        }
    }

    /// <summary>A client's SYN comes again.</summary>
    internal void SynRepeated(uint backend)
    {
        ref var signals = ref _signals.Find(backend);
        if (!Unsafe.IsNullRef(ref signals))
        {
            signals.SynRepeats++;
        }
    }

    /// <summary>A client's packet with data.</summary>
    internal void Asked(ref Connection connection)
    {
        if (connection.Phase == ConnectionPhase.Asked)
        {
            return;
        }

        connection.Phase = ConnectionPhase.Asked;
        connection.PendingSince = Now();
        ref var signals = ref _signals.Find(connection.BackendId);
        if (!Unsafe.IsNullRef(ref signals))
        {
            signals.Requests++;
        }
    }

    /// <summary>A connection ended now.</summary>
    internal void Closed(ref Connection connection, bool byBackend, bool reset)
    {
        ref var signals = ref _signals.Find(connection.BackendId);
        if (Unsafe.IsNullRef(ref signals))
        {
            return;
        }

        signals.Closed++;
        ref var open = ref _open.Find(connection.BackendId);
        if (!Unsafe.IsNullRef(ref open))
        {
            Interlocked.Decrement(ref open);
        }

        if (byBackend)
        {
            // One that refuses is counted as that.
            signals.Resets += reset && connection.Phase != ConnectionPhase.Opening ? 1u : 0u;
        }
        else if (connection.Phase == ConnectionPhase.Asked)
        {
            connection.Phase = ConnectionPhase.Answered;
            signals.Abandoned++;
        }
    }

    /// <summary>A backend's packet of a connection in which something is waited for: one of few, and so a function of its own, walked once by the verifier. Always 0.</summary>
    /// <param name="connection">Its connection.</param>
    /// <param name="rawFlags">Its flags.</param>
    /// <param name="payload">Whether it carries data, as 0 or 1.</param>
    [GlobalFunction]
    internal int Answered(ref Connection connection, uint rawFlags, uint payload)
    {
        var flags = (TcpFlags)rawFlags;
        ref var signals = ref _signals.Find(connection.BackendId);
        if (Unsafe.IsNullRef(ref signals))
        {
            return 0;
        }

        if (connection.Phase == ConnectionPhase.Opening)
        {
            if ((flags & (TcpFlags.Syn | TcpFlags.Ack)) == (TcpFlags.Syn | TcpFlags.Ack))
            {
                var took = Now() - connection.PendingSince;
                signals.Handshakes++;
                signals.HandshakeTime += took;
                _histograms.Count(connection.BackendId * BackendHistograms.PerBackend, took);
                connection.Phase = ConnectionPhase.Open;
            }
            else if ((flags & TcpFlags.Rst) != 0)
            {
                signals.Refused++;
                connection.Phase = ConnectionPhase.Answered;
            }
        }
        else if (payload != 0)
        {
            var took = Now() - connection.PendingSince;
            signals.Answers++;
            signals.ResponseTime += took;
            _histograms.Count((connection.BackendId * BackendHistograms.PerBackend) + BackendHistograms.Buckets, took);
            connection.Phase = ConnectionPhase.Answered;
        }
        else if ((flags & (TcpFlags.Fin | TcpFlags.Rst)) != 0)
        {
            signals.Unanswered++;
            connection.Phase = ConnectionPhase.Answered;
        }

        return 0;
    }

    /// <summary>A backend said by ICMP that nobody listens.</summary>
    internal void Unreachable(ref Connection connection)
    {
        ref var signals = ref _signals.Find(connection.BackendId);
        if (!Unsafe.IsNullRef(ref signals))
        {
            signals.Refused++;
            signals.Unanswered += connection.Phase == ConnectionPhase.Asked ? 1u : 0u;
            connection.Phase = ConnectionPhase.Answered;
        }
    }
}
