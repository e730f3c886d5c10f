namespace Skep.Balancing.Adaptive;

/// <summary>A backend as the law sees it.</summary>
/// <param name="Logarithm">Natural logarithm of the factor on its declared weight, at most 0.</param>
/// <param name="Share">Its share of new connections now.</param>
/// <param name="Latency">What its requests take, in seconds; NaN when that is not known.</param>
/// <param name="Samples">On how many samples that rests.</param>
/// <param name="Headroom">How much of the latency is not queueing, 0 to 1.</param>
internal readonly record struct LawInput(double Logarithm, double Share, double Latency, double Samples, double Headroom);

/// <summary>
/// The control law of weights. Every backend's factor moves against the logarithm of its latency relative to the mean of all: by a small part of what
/// exceeds a dead band, by a larger one of gross differences, less where the others have no headroom, never by more than a bounded step. And it
/// leans back to the declared weight all the time, more when there is evidence for it, so that nothing stays without. Why that is stable is in the folder's README.
/// </summary>
internal static class WeightLaw
{
    /// <summary>Seconds between two steps.</summary>
    public const double Period = 0.25;

    /// <summary>Differences of latency up to this part are left alone; more when few samples say so.</summary>
    public const double DeadBand = 0.15;

    /// <summary>Part of a difference beyond the band that a step corrects.</summary>
    public const double Gain = 0.06;

    /// <summary>Additional part of a difference by more than <see cref="Gross"/>.</summary>
    public const double GrossGain = 0.3;

    /// <summary>From this difference (logarithm) on it is gross.</summary>
    public const double Gross = 0.6;

    /// <summary>Largest decrease in a step, logarithm.</summary>
    public const double MostDown = 0.3;

    /// <summary>Largest increase in a step, logarithm.</summary>
    public const double MostUp = 0.1;

    /// <summary>Part of the way back to the declared weight that every step goes.</summary>
    public const double Drift = 0.03;

    /// <summary>Additional part for a backend that is as fast as the others and as it was at its best: it has room for more.</summary>
    public const double Return = 0.12;

    // Below this headroom of the others their own queues swing on the scale of a step: little may be moved onto them.
    private const double FullHouse = 0.4;
    private const double LeastRoom = 0.03;

    // Below the first of these a backend's own queue may be what keeps it at its weight; from the second on there is none.
    private const double NoReturn = 0.5, FullReturn = 0.8;
    private const double LeastSamples = 4;

    /// <summary>The logarithms after a step. The largest is 0: what counts is their differences.</summary>
    public static double[] Step(ReadOnlySpan<LawInput> backends, double floor)
    {
        var mean = MeanLogarithm(backends);
        var next = new double[backends.Length];
        var largest = double.NegativeInfinity;
        for (var i = 0; i < next.Length; i++)
        {
            next[i] = backends[i].Logarithm + Change(in backends[i], mean, HeadroomBeside(backends, i));
            largest = Math.Max(largest, next[i]);
        }

        for (var i = 0; i < next.Length; i++)
        {
            next[i] = Math.Max(Math.Log(floor), next[i] - largest);
        }

        return next;
    }

    /// <summary>Mean of the logarithms of latencies by share; NaN when none is known.</summary>
    public static double MeanLogarithm(ReadOnlySpan<LawInput> backends)
    {
        double sum = 0, shares = 0;
        foreach (ref readonly var backend in backends)
        {
            if (IsKnown(in backend) && backend.Share > 0)
            {
                sum += backend.Share * Math.Log(backend.Latency);
                shares += backend.Share;
            }
        }

        return shares > 0 ? sum / shares : double.NaN;
    }

    /// <summary>Whether there are enough samples of a backend.</summary>
    public static bool IsKnown(LawInput backend) => IsKnown(in backend);

    private static bool IsKnown(in LawInput backend) => backend.Latency > 0 && backend.Samples >= LeastSamples;

    // The median, so that neither one that is at its end nor one that is idle speaks for all.
    private static double HeadroomBeside(ReadOnlySpan<LawInput> backends, int backend)
    {
        var others = new List<double>(backends.Length);
        for (var i = 0; i < backends.Length; i++)
        {
            if (i != backend && IsKnown(in backends[i]))
            {
                others.Add(backends[i].Headroom);
            }
        }

        others.Sort();
        return others.Count > 0 ? others[others.Count / 2] : 0;
    }

    private static double Change(in LawInput backend, double mean, double headroom)
    {
        var back = -Drift * backend.Logarithm;
        if (!IsKnown(in backend) || double.IsNaN(mean))
        {
            return back;
        }

        // Twice the standard error of a mean of times that scatter as much as they last.
        var difference = Math.Log(backend.Latency) - mean;
        var band = Math.Max(DeadBand, 2 / Math.Sqrt(backend.Samples));
        var excess = Math.Max(0, Math.Abs(difference) - band);
        var room = Math.Clamp((headroom - FullHouse) / FullHouse, LeastRoom, 1);
        if (difference <= band)
        {
            back *= 1 + (room * Return / Drift * Math.Clamp((backend.Headroom - NoReturn) / (FullReturn - NoReturn), 0, 1));
        }

        var step = room * ((Gain * excess) + (GrossGain * Math.Max(0, excess - Gross)));
        return Math.Clamp(back - (Math.Sign(difference) * step), -MostDown, MostUp);
    }
}
