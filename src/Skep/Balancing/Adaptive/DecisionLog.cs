using System.Collections.Immutable;

namespace Skep.Balancing.Adaptive;

/// <summary>A decision with its place and time.</summary>
/// <param name="Number">Counts decisions from 1.</param>
/// <param name="At">When.</param>
/// <param name="LoadBalancer">Name of the load balancer.</param>
/// <param name="Service">Virtual endpoint.</param>
/// <param name="Decision">What was decided, and why.</param>
public sealed record LoggedDecision(long Number, DateTimeOffset At, string LoadBalancer, string Service, WeightDecision Decision);

/// <summary>The decisions of late, the oldest forgotten first. Safe for concurrent use.</summary>
public sealed class DecisionLog(int capacity)
{
    private readonly Lock _gate = new();
    private readonly Queue<LoggedDecision> _decisions = new();
    private readonly long[] _counts = new long[Enum.GetValues<DecisionKind>().Length];
    private long _number;

    /// <summary>Adds a decision.</summary>
    public void Add(DateTimeOffset at, ServiceModel service, WeightDecision decision)
    {
        ArgumentNullException.ThrowIfNull(service);
        ArgumentNullException.ThrowIfNull(decision);
        lock (_gate)
        {
            _decisions.Enqueue(new LoggedDecision(++_number, at, service.Name, service.Endpoint, decision));
            _counts[(int)decision.Kind]++;
            if (_decisions.Count > capacity)
            {
                _decisions.Dequeue();
            }
        }
    }

    /// <summary>Decisions after one of that number, oldest first.</summary>
    public ImmutableArray<LoggedDecision> After(long number)
    {
        lock (_gate)
        {
            return [.. _decisions.Where(d => d.Number > number)];
        }
    }

    /// <summary>How many there were of a kind.</summary>
    public long Count(DecisionKind kind)
    {
        lock (_gate)
        {
            return _counts[(int)kind];
        }
    }
}
