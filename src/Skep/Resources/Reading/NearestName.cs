namespace Skep.Resources.Reading;

/// <summary>Finds the name a person probably meant.</summary>
internal static class NearestName
{
    /// <summary>The nearest of <paramref name="known"/>, or null when none is near.</summary>
    public static string? Of(string name, IEnumerable<string> known)
    {
        if (name.Length > 64)
        {
            return null;
        }

        var (best, distance) = known
            .Select(k => (Name: k, Distance: Distance(name.ToLowerInvariant(), k.ToLowerInvariant())))
            .DefaultIfEmpty(("", int.MaxValue))
            .MinBy(p => p.Item2);
        return distance <= Math.Max(1, best.Length / 3) ? best : null;
    }

    /// <summary>"did you mean" the nearest name, or the list of all.</summary>
    public static string Advice(string name, IReadOnlyCollection<string> known) =>
        Of(name, known) is { } near ? $"did you mean '{near}'?" : $"known are {string.Join(", ", known)}";

    // Optimal string alignment: a swap of neighbours is one slip, not two.
    private static int Distance(string a, string b)
    {
        var d = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++)
        {
            d[i, 0] = i;
        }

        for (var j = 0; j <= b.Length; j++)
        {
            d[0, j] = j;
        }

        for (var i = 1; i <= a.Length; i++)
        {
            for (var j = 1; j <= b.Length; j++)
            {
                var cost = a[i - 1] == b[j - 1] ? 0 : 1;
                d[i, j] = Math.Min(Math.Min(d[i - 1, j] + 1, d[i, j - 1] + 1), d[i - 1, j - 1] + cost);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                {
                    d[i, j] = Math.Min(d[i, j], d[i - 2, j - 2] + 1);
                }
            }
        }

        return d[a.Length, b.Length];
    }
}
