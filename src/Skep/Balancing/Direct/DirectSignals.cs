using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Balancing;

/// <summary>
/// Kernel half: what the client's packets alone tell about a backend whose answers are not seen. A connection whose client goes on after SYN was answered; one whose
/// client says SYN again was not. Functions of their own, for packets that come once or twice a connection.
/// </summary>
internal sealed class DirectSignals(BalancerMaps maps)
{
    private readonly PerCpuArrayMap<BackendSignals> _signals = maps.Signals;
    private readonly ArrayMap<FlowSet> _sets = maps.Direct.Flows;
    private readonly uint _mask = maps.Direct.Flows.MaxEntries - 1;

    /// <summary>A connection that was not known began.</summary>
    [GlobalFunction]
    internal int Began(uint backend)
    {
        ref var signals = ref _signals.Find(backend);
        if (!Unsafe.IsNullRef(ref signals))
        {
            signals.Opened++;
        }

        return 0;
    }

    /// <summary>A SYN of a flow that is known: the same connection once more, or, when that one has ended, another from the same port.</summary>
    [GlobalFunction]
    internal int BeganAgain(ulong hash, uint backend)
    {
        ref var set = ref _sets.Find((uint)hash & _mask);
        ref var signals = ref _signals.Find(backend);
        if (Unsafe.IsNullRef(ref set) || Unsafe.IsNullRef(ref signals))
        {
            return 0;
        }

        for (var i = 0u; i < FlowSet.Ways; i++)
        {
            ref var way = ref set.At(i);
            var value = way;
            if (!FlowSet.Holds(value, hash) || (value & FlowSet.Probation) == 0)
            {
                continue;
            }

            if ((value & FlowSet.Seen) == 0)
            {
                signals.SynRepeats++;
                return 0;
            }

            way = value & ~FlowSet.Seen;
            signals.Opened++;
            return 0;
        }

        return 0;
    }

    /// <summary>The client went on after its SYN.</summary>
    [GlobalFunction]
    internal int Confirmed(uint backend)
    {
        ref var signals = ref _signals.Find(backend);
        if (!Unsafe.IsNullRef(ref signals))
        {
            signals.Handshakes++;
        }

        return 0;
    }
}
