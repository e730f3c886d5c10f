using System.Globalization;

namespace Skep.Balancing.Adaptive;

/// <summary>From factors to shares: slow start, zones, canary; and what of it is worth publishing.</summary>
public sealed partial class ServiceController
{
    // A zone keeps all of its traffic while this many times its living part covers it.
    private const double Overprovisioning = 1.4;

    private double[] Shares(TimeSpan now, ServiceModel model, BackendFate[] fates, bool[] usable)
    {
        var floor = model.Policy.Adaptive?.Floor ?? 0.02;
        var weights = new double[fates.Length];
        for (var i = 0; i < fates.Length; i++)
        {
            var grew = fates[i].GrowsSince is not null;
            weights[i] = usable[i] && fates[i].OutUntil is null
                ? model.Backends[i].Weight * Math.Exp(fates[i].Logarithm) * fates[i].Growth(now, model.Policy.SlowStart, floor)
                : 0;
            _isGrown |= grew && fates[i].GrowsSince is null;
        }

        var groups = GroupShares(model, weights);
        var shares = new double[weights.Length];
        foreach (var canary in new[] { false, true })
        {
            var inGroup = Enumerable.Range(0, weights.Length).Where(i => model.Backends[i].Canary == canary).ToArray();
            var local = LocalShare(model, weights, inGroup);
            foreach (var isLocal in new[] { true, false })
            {
                var cell = inGroup.Where(i => IsLocal(model, i) == isLocal).ToArray();
                var total = cell.Sum(i => weights[i]);
                var part = (canary ? groups.Canary : groups.Stable) * (isLocal ? local : 1 - local);
                foreach (var i in cell)
                {
                    shares[i] = total > 0 ? part * weights[i] / total : 0;
                }
            }
        }

        return shares;
    }

    private static (double Stable, double Canary) GroupShares(ServiceModel model, double[] weights)
    {
        double canary = 0, all = 0;
        for (var i = 0; i < weights.Length; i++)
        {
            all += weights[i];
            canary += model.Backends[i].Canary ? weights[i] : 0;
        }

        // A group without anybody leaves its share to the other.
        var share = all == 0 ? 0 : canary == 0 ? 0 : canary >= all ? 1 : model.Policy.CanaryShare ?? canary / all;
        return (1 - share, share);
    }

    // By declared weights: a zone is as large as it is meant to be, and as healthy as the part of it that is in use.
    private static double LocalShare(ServiceModel model, double[] weights, int[] group)
    {
        double declared = 0, inUse = 0, local = 0, all = 0;
        foreach (var i in group)
        {
            all += weights[i];
            if (IsLocal(model, i))
            {
                declared += model.Backends[i].Drain ? 0 : model.Backends[i].Weight;
                inUse += weights[i] > 0 ? model.Backends[i].Weight : 0;
                local += weights[i];
            }
        }

        return local <= 0 ? 0 : local >= all ? 1 : model.Policy.PreferredZone is null ? local / all : Math.Min(1, Overprovisioning * inUse / declared);
    }

    private static bool IsLocal(ServiceModel model, int backend) =>
        model.Policy.PreferredZone is null || model.Backends[backend].Zone == model.Policy.PreferredZone;

    private ServiceModel Publish(ServiceModel model, BackendFate[] fates, double[] shares, bool[] usable)
    {
        var largest = shares.Max();
        // The last step of a slow start is taken however small it is.
        var changes = _isGrown;
        _isGrown = false;
        var gone = fates.Length == 0;
        for (var i = 0; i < fates.Length; i++)
        {
            var before = fates[i].Share;
            changes |= before < 0 || shares[i] == 0 != (before == 0) || Math.Abs(shares[i] - before) > WorthIt * Math.Max(shares[i], before);
        }

        if (changes && !gone)
        {
            Explain(fates, shares);
            for (var i = 0; i < fates.Length; i++)
            {
                fates[i].Published = largest > 0 ? Math.Max(shares[i] > 0 ? 1 : 0, (int)Math.Round(Full * shares[i] / largest)) : 0;
                fates[i].Share = shares[i];
            }
        }

        for (var i = 0; i < _decisions.Count; i++)
        {
            var decision = _decisions[i];
            if (double.IsNaN(decision.After))
            {
                _decisions[i] = decision with { After = Math.Max(0, _fates[(decision.Address, decision.Port)].Share) };
            }
        }

        var isPanic = _panics;
        return model with
        {
            Backends =
            [
                .. model.Backends.Select((b, i) => b with
                {
                    Adjusted = fates[i].Published,
                    // Used although dead.
                    Alive = b.Alive || (isPanic && usable[i]),
                }),
            ],
        };
    }

    private void Explain(BackendFate[] fates, double[] shares)
    {
        var told = _decisions.Select(d => (d.Address, d.Port)).ToHashSet();
        for (var i = 0; i < fates.Length; i++)
        {
            var fate = fates[i];
            var (latency, mean, of) = fate.Told;
            if (fate.Share <= 0 || shares[i] <= 0 || Math.Abs(shares[i] - fate.Share) <= WorthIt * fate.Share || told.Contains((fate.Address, fate.Port)))
            {
                continue;
            }

            var less = shares[i] < fate.Share;
            var reason = fate.GrowsSince is not null ? "slow start goes on"
                : double.IsNaN(latency) || double.IsNaN(mean) ? "others changed"
                : latency > 1.1 * mean == less && (latency > 1.1 * mean || latency < mean / 1.1)
                    ? string.Create(CultureInfo.InvariantCulture, $"{of} take {BackendFate.Shown(latency)}, the mean of all is {BackendFate.Shown(mean)}")
                : less ? "others are faster" : "others are slower, or it is no slower than they are";
            _decisions.Add(new WeightDecision(fate.Address, fate.Port, less ? DecisionKind.Less : DecisionKind.More, fate.Share, shares[i], reason));
        }
    }
}
