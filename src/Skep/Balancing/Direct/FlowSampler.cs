using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>
/// Kernel half: measures backends whose answers are not seen by what their clients acknowledge. The time of a connection's handshake is the way from here to the backend,
/// to the client and back; a request is answered when the client acknowledges more than it had, and that time less the one of the handshake is the backend's own. Only
/// connections are looked at whose hash has zeros where the agent's mask has ones; for packets of all others that is a few comparisons.
/// </summary>
internal sealed class FlowSampler(BalancerMaps maps)
{
    // Of the hash: the set of the flow table is in the lowest bits.
    private const int MaskShift = 40;
    private const int PlaceShift = 20;

    private const uint FlagsShift = 16;

    // About ten seconds: whoever waits longer for an answer makes room.
    private const uint Patience = (uint)(10_000_000_000 / BackendSignals.TickNanoseconds);

    private readonly ArrayMap<FlowSample> _samples = maps.Direct.Samples;
    private readonly uint _places = maps.Direct.Samples.MaxEntries - 1;
    private readonly PerCpuArrayMap<SampledSignals> _signals = maps.Direct.Sampled;
    private readonly TimeHistogram _histograms = new(maps);
    private readonly Global<uint> _mask = maps.Direct.SampleMask;

    /// <summary>Whether a flow is among those that are looked at.</summary>
    internal bool IsSampled(ulong hash) => ((uint)(hash >> MaskShift) & _mask.Value) == 0;

    /// <summary>Flags of a packet beside its backend, as <see cref="Look"/> takes them.</summary>
    internal static uint Join(uint backend, TcpFlags flags) => (backend & 0xFFFF) | ((uint)flags << (int)FlagsShift);

    /// <summary>A client's packet: a function of its own, for sampled connections.</summary>
    /// <param name="hash">Hash of its flow.</param>
    /// <param name="joined">Its backend and its flags.</param>
    /// <param name="sequence">Its sequence number.</param>
    /// <param name="acknowledged">What it acknowledges.</param>
    /// <param name="payload">Bytes of data.</param>
    [GlobalFunction]
    internal int Look(ulong hash, uint joined, uint sequence, uint acknowledged, uint payload)
    {
        ref var sample = ref _samples.Find((uint)(hash >> PlaceShift) & _places);
        if (Unsafe.IsNullRef(ref sample))
        {
            return 0;
        }

        var backend = joined & 0xFFFF;
        var flags = (TcpFlags)(joined >> (int)FlagsShift);
        if ((flags & (TcpFlags.Syn | TcpFlags.Ack)) == TcpFlags.Syn)
        {
            Begin(ref sample, hash, backend, sequence);
            return 0;
        }

        ref var signals = ref _signals.Find(backend);
        if (sample.Hash != hash || sample.Backend != backend || Unsafe.IsNullRef(ref signals))
        {
            return 0;
        }

        var isEnd = (flags & (TcpFlags.Fin | TcpFlags.Rst)) != 0;
        if (sample.Phase == SamplePhase.Opening)
        {
            if (isEnd)
            {
                sample.Hash = 0;
                return 0;
            }

            var trip = SignalStage.Now() - sample.Since;
            sample.Trip = trip;
            sample.Phase = SamplePhase.Open;
            signals.Timed++;
            signals.HandshakeTime += trip;
            _histograms.Count(backend * BackendHistograms.PerBackend, trip);
        }

        // What asks whether the other side is there repeats one byte at most.
        if (payload > 1 && (int)(sequence + payload - sample.Next) <= 0)
        {
            signals.Retransmits++;
            return 0;
        }

        if (payload != 0)
        {
            sample.Next = sequence + payload;
        }

        if (sample.Phase == SamplePhase.Asked)
        {
            // One number more is the end that the backend made, and no answer: hanging up is quick, and must not attract.
            var news = (int)(acknowledged - sample.Acknowledged);
            if (news > 1)
            {
                Answered(ref sample, ref signals, backend);
            }
            else if (isEnd && news == 1)
            {
                signals.Unanswered++;
                sample.Phase = SamplePhase.Open;
            }
            else if ((flags & TcpFlags.Rst) != 0)
            {
                signals.Abandoned++;
                sample.Phase = SamplePhase.Open;
            }
        }

        if (sample.Phase == SamplePhase.Open)
        {
            if (payload != 0)
            {
                sample.Phase = SamplePhase.Asked;
                sample.Since = SignalStage.Now();
                sample.Acknowledged = acknowledged;
                signals.Requests++;
            }
            else if (isEnd)
            {
                sample.Hash = 0;
            }
        }

        return 0;
    }

    private void Answered(ref FlowSample sample, ref SampledSignals signals, uint backend)
    {
        var took = SignalStage.Now() - sample.Since;
        var trip = took < sample.Trip ? took : sample.Trip;
        signals.Answers++;
        signals.TripTime += trip;
        signals.ResponseTime += took - trip;
        _histograms.Count((backend * BackendHistograms.PerBackend) + BackendHistograms.Buckets, took - trip);
        sample.Phase = SamplePhase.Open;
    }

    private void Begin(ref FlowSample sample, ulong hash, uint backend, uint sequence)
    {
        var now = SignalStage.Now();
        if (sample.Hash == hash && sample.Phase == SamplePhase.Opening && sample.Next == sequence + 1)
        {
            // Which of the two was answered does not show (Karn's rule).
            sample.Hash = 0;
            return;
        }

        if (sample.Hash != 0 && sample.Phase == SamplePhase.Asked)
        {
            if (sample.Hash != hash && now - sample.Since < Patience)
            {
                return;
            }

            ref var signals = ref _signals.Find(sample.Backend);
            if (!Unsafe.IsNullRef(ref signals))
            {
                signals.Abandoned++;
            }
        }

        sample.Hash = hash;
        sample.Since = now;
        sample.Next = sequence + 1;
        sample.Backend = backend;
        sample.Phase = SamplePhase.Opening;
    }
}
