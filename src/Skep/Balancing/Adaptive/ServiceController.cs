using System.Collections.Immutable;
using System.Globalization;
using Skep.Packets;

namespace Skep.Balancing.Adaptive;

/// <summary>
/// Turns what was measured about the backends of one service into weights. Pure but for its memory: the clock and the readings are given, so the same
/// steps give the same weights. To be called every <see cref="WeightLaw.Period"/> seconds.
/// </summary>
public sealed partial class ServiceController
{
    // A change below this part of every weight is not worth moving connections for.
    private const double WorthIt = 0.03;
    private const int Full = 1_000_000;

    // Of the way to the client, where only that is seen.
    private const double TripPart = 0.25;

    private readonly Dictionary<(IpAddress, ushort), BackendFate> _fates = [];
    private readonly ImmutableArray<WeightDecision>.Builder _decisions = ImmutableArray.CreateBuilder<WeightDecision>();
    private TimeSpan? _last;
    private bool _panics;
    private bool _isGrown;

    /// <summary>
    /// Takes over the shares that a service has, when an agent starts where another was: the factors that explain them. Only before the first step.
    /// </summary>
    public void Seed(ServiceModel model, IReadOnlyDictionary<(IpAddress Address, ushort Port), double> shares)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(shares);
        var known = model.Backends.Where(b => b.TakesConnections && shares.GetValueOrDefault((b.Address, b.Port)) > 0)
            .Select(b => (Backend: b, Factor: shares[(b.Address, b.Port)] / b.Weight)).ToArray();
        if (model.Policy.Adaptive is { } adaptive && known.Length > 0)
        {
            var largest = known.Max(k => k.Factor);
            foreach (var (backend, factor) in known)
            {
                FateOf(backend).Logarithm = Math.Max(Math.Log(adaptive.Floor), Math.Log(factor / largest));
            }
        }
    }

    /// <summary>The model with the weights that are right now; and what was decided for what reason.</summary>
    /// <param name="now">Time of a clock that only goes forward.</param>
    /// <param name="model">What is declared; its backends are alive or not as health checks say.</param>
    /// <param name="readingOf">Counters of a backend since it was added.</param>
    public (ServiceModel Model, ImmutableArray<WeightDecision> Decisions) Step(
        TimeSpan now, ServiceModel model, Func<BackendModel, BackendReading> readingOf)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(readingOf);
        var isFirst = _last is null;
        var elapsed = _last is { } last ? Math.Max(1e-3, (now - last).TotalSeconds) : WeightLaw.Period;
        _last = now;
        var fates = new BackendFate[model.Backends.Length];
        for (var i = 0; i < fates.Length; i++)
        {
            fates[i] = FateOf(model.Backends[i]);
            fates[i].Watch.Observe(readingOf(model.Backends[i]), elapsed, oneWay: model.Forwarding != ForwardingMode.Nat);
        }

        Forget(fates);
        var usable = Usable(model, fates);
        Track(now, model, fates, usable, isFirst);
        if (model.Policy.Outliers is { } outliers)
        {
            Judge(now, model, fates, usable, outliers);
        }

        if (model.Policy.Adaptive is { } adaptive)
        {
            Correct(model, fates, usable, adaptive.Floor);
        }
        else
        {
            Array.ForEach(fates, f => f.Logarithm = 0);
        }

        var shares = Shares(now, model, fates, usable);
        return (Publish(model, fates, shares, usable), _decisions.DrainToImmutable());
    }

    // What may get connections by declaration and health checks, with panic.
    private bool[] Usable(ServiceModel model, BackendFate[] fates)
    {
        var alive = model.Backends.Select(b => b is { Drain: false, Weight: > 0 } && b.Alive).ToArray();
        double all = model.Backends.Where(b => !b.Drain).Sum(b => b.Weight);
        double living = model.Backends.Where((_, i) => alive[i]).Sum(b => b.Weight);
        var panics = all > 0 && (living == 0 ? model.Policy.WhenAllDead == WhenAllDead.All : living / all < model.Policy.PanicThreshold);
        if (panics != _panics)
        {
            _panics = panics;
            _decisions.Add(new(model.Address, model.Port, panics ? DecisionKind.Panic : DecisionKind.Calm, 0, 0, string.Create(
                CultureInfo.InvariantCulture,
                $"{100 * living / all:0} % of the weight is alive: {(panics ? "dead backends are used like living ones" : "only living backends are used")}")));
        }

        foreach (var (fate, backend) in fates.Zip(model.Backends))
        {
            Note(fate, backend);
        }

        return panics ? [.. model.Backends.Select(b => b is { Drain: false, Weight: > 0 })] : alive;
    }

    private void Note(BackendFate fate, BackendModel backend)
    {
        // One that is dead when it is first seen needs its reason no less.
        if (fate.WasAlive != backend.Alive)
        {
            Decide(fate, backend.Alive ? DecisionKind.Alive : DecisionKind.Dead, backend.AliveReason ?? (backend.Alive ? "health checks pass" : "health checks fail"));
        }

        if (fate.WasUsable is not null && fate.WasDraining != backend.Drain)
        {
            Decide(fate, backend.Drain ? DecisionKind.Draining : DecisionKind.Undrained, backend.Drain ? "it is to be drained" : "it is in service again");
        }

        (fate.WasAlive, fate.WasDraining) = (backend.Alive, backend.Drain);
    }

    // Slow start of what begins to take connections.
    private void Track(TimeSpan now, ServiceModel model, BackendFate[] fates, bool[] usable, bool isFirst)
    {
        for (var i = 0; i < fates.Length; i++)
        {
            var fate = fates[i];
            if (usable[i] && !isFirst && fate.WasUsable != true && model.Policy.SlowStart > TimeSpan.Zero && fate.OutUntil is null)
            {
                fate.GrowsSince = now;
                Decide(fate, DecisionKind.SlowStart, $"it takes connections {(fate.WasUsable is null ? "for the first time" : "again")} and grows to its weight in {Resources.Duration.Format(model.Policy.SlowStart)}");
            }

            fate.WasUsable = usable[i];
        }
    }

    private void Correct(ServiceModel model, BackendFate[] fates, bool[] usable, double floor)
    {
        var isDirect = model.Forwarding != ForwardingMode.Nat;
        // A service whose backends speak first, or not at all, shows in its handshakes only.
        var byResponse = fates.Sum(f => f.Watch.Responses) >= 0.2 * fates.Sum(f => f.Watch.Handshakes);
        var backends = new List<int>();
        var inputs = new List<LawInput>();
        for (var i = 0; i < fates.Length; i++)
        {
            if (usable[i] && fates[i].OutUntil is null)
            {
                backends.Add(i);
                inputs.Add(isDirect ? SeenThroughClients(fates[i], byResponse) : Seen(fates[i], byResponse));
            }
        }

        var of = byResponse ? "answers" : "handshakes";
        if (model.Protocol == IpProtocol.Tcp && inputs.Count(WeightLaw.IsKnown) < 2 && backends.Count(i => model.Backends[i].ChecksTimed > 0) >= 2)
        {
            // Hardly anybody asks. Where nothing waits, what a check takes says what a request would, and weights that follow it move no queue.
            of = "health checks";
            inputs = [.. backends.Select((i, k) => inputs[k] with { Latency = model.Backends[i].CheckSeconds, Samples = model.Backends[i].ChecksTimed, Headroom = 1 })];
        }

        if (inputs.Count > 0)
        {
            var span = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(inputs);
            var mean = Math.Exp(WeightLaw.MeanLogarithm(span));
            var next = WeightLaw.Step(span, floor);
            for (var k = 0; k < next.Length; k++)
            {
                fates[backends[k]].Logarithm = next[k];
                fates[backends[k]].Told = (inputs[k].Latency, mean, of);
            }
        }
    }

    // Refusing is quick, and must not attract.
    private static double Penalty(BackendWatch watch) => 1 + (10 * watch.FailureShare);

    private static LawInput Seen(BackendFate fate, bool byResponse)
    {
        var watch = fate.Watch;
        return new LawInput(
            fate.Logarithm, Math.Max(0, fate.Share), (byResponse ? watch.Response : watch.Handshake) * Penalty(watch),
            byResponse ? watch.Responses : watch.Handshakes, byResponse ? watch.Headroom : 1);
    }

    // A difference that is small beside the way to the client is lost in how that varies, and no client would feel it: a part of the way counts for everybody. Times with
    // the clients' delays in them scatter twice as much as they last, so that it takes four times as many.
    private static LawInput SeenThroughClients(BackendFate fate, bool byResponse)
    {
        var watch = fate.Watch;
        var seen = Seen(fate, byResponse);
        return seen with { Latency = byResponse && watch.Handshakes > 0 ? seen.Latency + (TripPart * watch.Handshake) : seen.Latency, Samples = seen.Samples / 4 };
    }

    private void Forget(BackendFate[] present)
    {
        if (_fates.Count > present.Length)
        {
            var keep = present.ToHashSet();
            foreach (var key in _fates.Where(f => !keep.Contains(f.Value)).Select(f => f.Key).ToArray())
            {
                _fates.Remove(key);
            }
        }
    }

    private BackendFate FateOf(BackendModel backend)
    {
        if (!_fates.TryGetValue((backend.Address, backend.Port), out var fate))
        {
            _fates.Add((backend.Address, backend.Port), fate = new BackendFate(backend.Address, backend.Port));
        }

        return fate;
    }

    private void Decide(BackendFate fate, DecisionKind kind, string reason) =>
        _decisions.Add(new WeightDecision(fate.Address, fate.Port, kind, Math.Max(0, fate.Share), double.NaN, reason));
}
