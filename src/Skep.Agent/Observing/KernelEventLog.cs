using Skep.Bpf.Buffers;
using Skep.Flows;

namespace Skep.Agent.Observing;

/// <summary>
/// Events of one kind: counted as they come out of the ring, by a value of theirs. The table of totals forgets keys when it is full,
/// so it only says what an earlier agent saw.
/// </summary>
internal sealed class KernelEventLog(string name, KernelClock time) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<ulong, EventCount> _counts = [];
    private RingBufferReader<KernelEvent>? _reader;

    /// <summary>The maps of the program.</summary>
    public KernelEventMaps Maps { get; } = new(name);

    /// <summary>All events.</summary>
    public ulong Total => Maps.ReadCounts().Events;

    /// <summary>Starts from what is there.</summary>
    public void Open()
    {
        _reader = new RingBufferReader<KernelEvent>(Maps.Events);
        // What waits in the ring is in the totals already.
        _reader.Drain((in KernelEvent _) => { });
        Maps.Totals.ReadAll((key, entry) => Add(Class(key, entry.Detail), key, entry.LastSeen, entry.Count));
    }

    /// <summary>Reads events until the token is cancelled.</summary>
    public Task RunAsync(CancellationToken cancellation) =>
        _reader!.DrainAsync((in KernelEvent e) => Add(Class(e.Key, e.Detail), e.Key, e.Time, 1), cancellation);

    /// <summary>Counts by class with the last event of each.</summary>
    public IReadOnlyList<EventCount> Counts()
    {
        lock (_gate)
        {
            return [.. _counts.Values];
        }
    }

    /// <summary>When an event was.</summary>
    public DateTimeOffset ToWall(ulong nanoseconds) => time.ToWall(nanoseconds);

    public void Dispose() => _reader?.Dispose();

    // Drops are told apart by reason, changes of state by the new state.
    private static ulong Class(in KernelEventKey key, ulong detail) => key.Reason != 0 ? key.Reason : (uint)detail;

    private void Add(ulong kind, in KernelEventKey key, ulong at, ulong count)
    {
        lock (_gate)
        {
            var before = _counts.GetValueOrDefault(kind);
            _counts[kind] = before.Count > 0 && before.LastSeen > at
                ? before with { Count = before.Count + count }
                : new EventCount(kind, before.Count + count, key, at);
        }
    }
}

/// <summary>Events of a class, and the last of them.</summary>
internal readonly record struct EventCount(ulong Class, ulong Count, KernelEventKey Last, ulong LastSeen);
