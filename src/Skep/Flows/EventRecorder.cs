using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Flows;

/// <summary>Kernel half: counts an event, adds it up under its key and puts it into the ring. What the ring does not take is counted.</summary>
internal sealed class EventRecorder(KernelEventMaps maps)
{
    private readonly LruHashMap<KernelEventKey, KernelEventEntry> _totals = maps.Totals;
    private readonly RingBuffer<KernelEvent> _events = maps.Events;
    private readonly PerCpuArrayMap<ulong> _counts = maps.Counts;

    internal void Record(in KernelEventKey key, ulong detail)
    {
        Count(0);
        var now = Helper.KtimeGetNs();
        ref var total = ref _totals.Find(in key);
        if (Unsafe.IsNullRef(ref total))
        {
            KernelEventEntry first;
            first.Count = 1;
            first.LastSeen = now;
            first.Detail = detail;
            // A table that takes no entry still leaves the event in the ring and in the count.
            _totals.Update(in key, in first, UpdateMode.Any);
        }
        else
        {
            Interlocked.Increment(ref total.Count);
            total.LastSeen = now;
            total.Detail = detail;
        }

        KernelEvent record;
        record.Key = key;
        record.Time = now;
        record.Detail = detail;
        record.Task = Helper.GetCurrentPidTgid();
        if (_events.Output(in record) < 0)
        {
            Count(1);
        }
    }

    private void Count(uint index)
    {
        ref var count = ref _counts.Find(in index);
        if (!Unsafe.IsNullRef(ref count))
        {
            count++;
        }
    }
}
