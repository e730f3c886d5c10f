using System.Collections.Immutable;

namespace Skep.Balancing;

/// <summary>
/// Which endpoints have the traffic, learned from the counters of their backends: they are compared first, and when there are more endpoints than become code, they
/// alone do. A change costs a compilation and a swap of programs, so what is in force stays until another order is clearly better.
/// </summary>
public sealed class VipHeat
{
    /// <summary>Share of all packets that the endpoints in the code must have when others are left in the table.</summary>
    public const double Pays = 0.5;

    /// <summary>Share below which they no longer pay, and all go back to the table.</summary>
    public const double NoLongerPays = 0.25;

    /// <summary>Share of all packets that another choice must spare the way through the table.</summary>
    public const double Gain = 0.1;

    /// <summary>Comparisons that another order must spare a packet, on average.</summary>
    public const double GainInOrder = 0.5;

    /// <summary>Packets between two looks below which nothing is learned.</summary>
    public const ulong FewestPackets = 1000;

    // How much a look counts beside what is known: a peak of one look alone changes little.
    private const double Weight = 0.4;

    private readonly Dictionary<uint, ulong> _counted = [];
    private readonly Dictionary<uint, double> _shares = [];

    /// <summary>Ids of services whose endpoints come first, in this order; none when nothing stands out.</summary>
    public ImmutableArray<uint> Hot { get; private set; } = [];

    /// <summary>Takes a look.</summary>
    /// <param name="packets">Packets of each service so far, by its id.</param>
    /// <param name="most">Endpoints that may become code.</param>
    /// <returns>Whether <see cref="Hot"/> changed.</returns>
    public bool Look(IReadOnlyDictionary<uint, ulong> packets, int most)
    {
        ArgumentNullException.ThrowIfNull(packets);
        Learn(packets);
        foreach (var gone in _shares.Keys.Except(packets.Keys).ToArray())
        {
            _shares.Remove(gone);
            _counted.Remove(gone);
        }

        // The id decides between equals, so that the same traffic gives the same order.
        uint[] best = [.. _shares.Where(s => s.Value > 0).OrderByDescending(s => s.Value).ThenBy(s => s.Key).Select(s => s.Key).Take(most)];
        var all = packets.Count <= most;
        ImmutableArray<uint> next = IsBetter(best, all, most) ? [.. best] : [.. Hot.Where(packets.ContainsKey)];
        if (!all && ShareOf(next) < NoLongerPays)
        {
            next = [];
        }

        var changed = !next.AsSpan().SequenceEqual(Hot.AsSpan());
        Hot = next;
        return changed;
    }

    private void Learn(IReadOnlyDictionary<uint, ulong> packets)
    {
        // A count that fell is a service whose backends changed: it begins anew.
        var since = packets.ToDictionary(p => p.Key, p => _counted.GetValueOrDefault(p.Key) is var before && before <= p.Value ? p.Value - before : p.Value);
        var total = since.Values.Aggregate(0UL, (sum, n) => sum + n);
        if (total < FewestPackets)
        {
            return;
        }

        var isFirst = _shares.Count == 0;
        foreach (var (service, count) in packets)
        {
            _counted[service] = count;
            var share = since[service] / (double)total;
            _shares[service] = isFirst ? share : (_shares.GetValueOrDefault(service) * (1 - Weight)) + (share * Weight);
        }
    }

    private bool IsBetter(uint[] best, bool all, int most)
    {
        if (!all && Hot.IsEmpty)
        {
            return ShareOf(best) >= Pays;
        }

        return ShareOf(best) - ShareOf(Hot) > Gain || WaitOf(Hot, most) - WaitOf(best, most) > GainInOrder;
    }

    private double ShareOf(IEnumerable<uint> services) => services.Sum(s => _shares.GetValueOrDefault(s));

    /// <summary>Comparisons before the right one, over all packets.</summary>
    private double WaitOf(IEnumerable<uint> order, int most)
    {
        uint[] first = [.. order];
        return _shares.Sum(s => s.Value * (Array.IndexOf(first, s.Key) is var at and >= 0 ? at : most));
    }
}
