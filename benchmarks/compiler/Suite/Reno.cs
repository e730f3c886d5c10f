using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Benchmarks.Compiler.Suite;

/// <summary>The arithmetic of TCP Reno with its round-trip estimate (RFC 5681, RFC 6298) over a struct; the packets are its events.</summary>
internal sealed unsafe class Reno : Algorithm
{
    private const uint LeastRto = 200_000;
    private const uint MostRto = 120_000_000;

    private readonly ArrayMap<Socket> _sockets = new(1);

    private enum Kind : uint
    {
        Acked,
        Loss,
        Timeout,
    }

    private enum Phase : uint
    {
        Open,
        Recovery,
    }

    internal override IReadOnlyList<Sample> Samples { get; } =
    [
        new("first ACK", Event(Kind.Acked, 1, 40_000, 10)),
        new("slow start", Event(Kind.Acked, 2, 42_000, 10)),
        new("into avoidance", Event(Kind.Acked, 8, 39_000, 14), IsTimed: false),
        new("avoidance", Event(Kind.Acked, 3, 41_000, 40)),
        new("many at once", Event(Kind.Acked, 60, 41_000, 60)),
        new("not limited by the window", Event(Kind.Acked, 1, 0, 2)),
        new("loss", Event(Kind.Loss, 0, 0, 20), IsTimed: false),
        new("loss in recovery", Event(Kind.Loss, 0, 0, 20)),
        new("recovered", Event(Kind.Acked, 5, 45_000, 20), IsTimed: false),
        new("timeout", Event(Kind.Timeout, 0, 0, 5)),
        new("unknown", Event((Kind)9, 0, 0, 5)),
        new("cut short", Event(Kind.Acked, 1, 1, 1)[..20]),
    ];

    internal override void Fill() => _sockets.Set(0, new Socket { Window = 10, Threshold = 16, Clamp = 1000, Rto = 1_000_000, Mss = 1448 });

    private static byte[] Event(Kind kind, uint acked, uint rtt, uint inFlight)
    {
        var bytes = PacketBuilder.Ethernet(etherType: 0x88b5).Payload(16).Build();
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(14), (uint)kind);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(18), acked);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(22), rtt);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(26), inFlight);
        return bytes;
    }

    public override XdpAction Run(ref XdpContext context)
    {
        var data = context.Data;
        var end = context.DataEnd;
        var happened = (Happening*)(data + sizeof(EthernetHeader));
        if ((byte*)(happened + 1) > end)
        {
            return XdpAction.Drop;
        }

        ref var s = ref _sockets.Find(0u);
        if (Unsafe.IsNullRef(ref s))
        {
            return XdpAction.Aborted;
        }

        s.InFlight = happened->InFlight;
        switch (happened->Kind)
        {
            case Kind.Acked:
                if (happened->Rtt != 0)
                {
                    Estimate(ref s, happened->Rtt);
                }

                s.Delivered += happened->Acked;
                if (s.Phase == Phase.Recovery)
                {
                    s.Phase = Phase.Open;
                    s.Window = s.Threshold;
                }

                // Only a sender that fills its window may grow it.
                if (s.Window <= s.Threshold ? s.Window < 2 * s.InFlight : s.Window <= s.InFlight)
                {
                    var acked = happened->Acked;
                    if (s.Window <= s.Threshold)
                    {
                        acked = SlowStart(ref s, acked);
                    }

                    if (acked != 0)
                    {
                        Avoid(ref s, s.Window, acked);
                    }
                }

                break;
            case Kind.Loss:
                if (s.Phase == Phase.Open)
                {
                    s.Threshold = Half(s.Window);
                    s.Window = s.Threshold;
                    s.Phase = Phase.Recovery;
                }

                s.Lost++;
                break;
            case Kind.Timeout:
                s.Threshold = Half(s.Window);
                s.Window = 1;
                s.AckedSum = 0;
                s.Rto = s.Rto < MostRto / 2 ? s.Rto << 1 : MostRto;
                break;
            default:
                return XdpAction.Drop;
        }

        var rtt = s.SmoothedRtt >> 3;
        if (rtt != 0)
        {
            s.Pacing = (ulong)s.Window * s.Mss * 1_000_000 / rtt;
        }

        return XdpAction.Pass;
    }

    private static void Estimate(ref Socket s, uint rtt)
    {
        if (s.SmoothedRtt == 0)
        {
            s.SmoothedRtt = rtt << 3;
            s.RttVariance = rtt << 1;
        }
        else
        {
            var error = (int)(rtt - (s.SmoothedRtt >> 3));
            s.SmoothedRtt += (uint)error;
            if (error < 0)
            {
                error = -error;
            }

            error -= (int)(s.RttVariance >> 2);
            s.RttVariance += (uint)error;
        }

        var rto = (s.SmoothedRtt >> 3) + s.RttVariance;
        s.Rto = rto < LeastRto ? LeastRto : rto > MostRto ? MostRto : rto;
    }

    private static uint SlowStart(ref Socket s, uint acked)
    {
        var window = s.Window + acked;
        if (window > s.Threshold)
        {
            window = s.Threshold;
        }

        acked -= window - s.Window;
        s.Window = window < s.Clamp ? window : s.Clamp;
        return acked;
    }

    private static void Avoid(ref Socket s, uint window, uint acked)
    {
        if (s.AckedSum >= window)
        {
            s.AckedSum = 0;
            s.Window++;
        }

        s.AckedSum += acked;
        if (s.AckedSum >= window)
        {
            var more = s.AckedSum / window;
            s.AckedSum -= more * window;
            s.Window += more;
        }

        if (s.Window > s.Clamp)
        {
            s.Window = s.Clamp;
        }
    }

    private static uint Half(uint window) => window >> 1 > 2 ? window >> 1 : 2;

    private struct Socket
    {
        internal uint Window;
        internal uint Threshold;
        internal uint Clamp;
        internal uint AckedSum;
        internal uint InFlight;
        internal Phase Phase;
        internal uint SmoothedRtt;
        internal uint RttVariance;
        internal uint Rto;
        internal uint Lost;
        internal uint Mss;
        internal uint Reserved;
        internal ulong Delivered;
        internal ulong Pacing;
    }

    private struct Happening
    {
        internal Kind Kind;
        internal uint Acked;
        internal uint Rtt;
        internal uint InFlight;
    }
}
