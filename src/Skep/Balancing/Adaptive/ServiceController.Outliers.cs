using System.Globalization;

namespace Skep.Balancing.Adaptive;

/// <summary>Who is taken out for failing, and who comes back.</summary>
public sealed partial class ServiceController
{
    private const double LeastLatencySamples = 10;

    private void Judge(TimeSpan now, ServiceModel model, BackendFate[] fates, bool[] usable, OutlierPolicy policy)
    {
        for (var i = 0; i < fates.Length; i++)
        {
            if (fates[i].OutUntil is { } until && (now >= until || !usable[i]))
            {
                fates[i].Return(now);
                if (usable[i])
                {
                    fates[i].GrowsSince = model.Policy.SlowStart > TimeSpan.Zero ? now : null;
                    Decide(fates[i], DecisionKind.Returned, model.Policy.SlowStart > TimeSpan.Zero
                        ? $"its time out is over; it grows to its weight in {Resources.Duration.Format(model.Policy.SlowStart)}"
                        : "its time out is over");
                }
            }
        }

        double all = model.Backends.Where((_, i) => usable[i]).Sum(b => b.Weight);
        double gone = model.Backends.Where((_, i) => usable[i] && fates[i].OutUntil is not null).Sum(b => b.Weight);
        // The worst first: who comes last may have to stay.
        foreach (var i in Enumerable.Range(0, fates.Length).Where(i => usable[i] && fates[i].OutUntil is null).OrderByDescending(i => fates[i].Watch.FailureShare))
        {
            var fate = fates[i];
            if (Fault(model, fates, usable, i, policy) is not { } fault)
            {
                fate.IsSpared = false;
            }
            else if (gone + model.Backends[i].Weight <= policy.MostEjected * all + 1e-9)
            {
                gone += model.Backends[i].Weight;
                fate.IsSpared = false;
                var length = fate.Eject(now, policy);
                Decide(fate, DecisionKind.Ejected, $"{fault}; out for {Resources.Duration.Format(length)}");
            }
            else if (!fate.IsSpared)
            {
                fate.IsSpared = true;
                Decide(fate, DecisionKind.Spared, string.Create(CultureInfo.InvariantCulture, $"{fault}; no more than {100 * policy.MostEjected:0} % of the weight may be out"));
            }
        }
    }

    private static string? Fault(ServiceModel model, BackendFate[] fates, bool[] usable, int i, OutlierPolicy policy)
    {
        var watch = fates[i].Watch;
        if (watch.Failures >= policy.LeastErrors - 0.5 && watch.FailureShare >= policy.ErrorShare && (model.Forwarding == ForwardingMode.Nat || IsAlone(fates, usable, i, policy)))
        {
            return string.Create(CultureInfo.InvariantCulture, $"{100 * watch.FailureShare:0} % of its connections failed ({Math.Round(watch.Failures):0} of late)");
        }

        if (watch.IsSilent && (model.Forwarding == ForwardingMode.Nat || IsMissed(fates, usable, i)))
        {
            return string.Create(CultureInfo.InvariantCulture, $"it has answered nothing for {watch.Silence:0.##} s ({watch.Unheard} asked)");
        }

        if (policy.LatencyFactor is { } factor && watch.Responses >= LeastLatencySamples)
        {
            var others = fates.Where((f, k) => k != i && usable[k] && f.OutUntil is null && f.Watch.Responses >= LeastLatencySamples).Select(f => f.Watch.Response).Order().ToArray();
            if (others.Length > 0 && watch.Response > factor * others[others.Length / 2])
            {
                return $"its answers take {BackendFate.Shown(watch.Response)}, those of the others {BackendFate.Shown(others[others.Length / 2])}";
            }
        }

        return null;
    }

    // Where answers are not seen, one of a single byte looks like none: of a service that answers so, all backends seem to fail.
    private static bool IsAlone(BackendFate[] fates, bool[] usable, int i, OutlierPolicy policy)
    {
        var others = fates.Where((f, k) => k != i && usable[k] && f.OutUntil is null).ToArray();
        return others.Length > 0 && 2 * others.Count(f => f.Watch.FailureShare < policy.ErrorShare) >= others.Length;
    }

    // Where answers are not seen, whoever sends SYN with others' addresses makes all backends look silent. One is when as many clients would have gone on, by what the others'
    // clients do, as make silence tell.
    private static bool IsMissed(BackendFate[] fates, bool[] usable, int i)
    {
        var (asked, confirmed) = (0d, 0d);
        for (var k = 0; k < fates.Length; k++)
        {
            if (k != i && usable[k] && fates[k].OutUntil is null)
            {
                asked += fates[k].Watch.OneWay.Asked;
                confirmed += fates[k].Watch.OneWay.Confirmed;
            }
        }

        return asked > 0 && fates[i].Watch.Unheard * Math.Min(1, confirmed / asked) >= BackendWatch.LeastUnheard;
    }
}
