using System.Globalization;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Verification;

/// <summary>A source line that costs the verifier much.</summary>
/// <param name="Line">The line.</param>
/// <param name="Share">Share of the instructions the verifier walked through, 0 to 1.</param>
public readonly record struct VerifierHotspot(SourceLine Line, double Share);

/// <summary>Counts where the verifier spent its instructions, from a log of every state (level 2).</summary>
internal static class VerifierHotspots
{
    internal static IReadOnlyList<VerifierHotspot> Count(ProgramSpec spec, string walk)
    {
        if (walk.Length == 0 || spec.Lines.Count == 0)
        {
            return [];
        }

        var visits = new int[spec.Instructions.Count];
        var total = 0;
        foreach (var line in walk.AsSpan().EnumerateLines())
        {
            // Lines of instructions read "17: (61) r2 = ...".
            var colon = line.IndexOf(": (", StringComparison.Ordinal);
            if (colon > 0 && int.TryParse(line[..colon], NumberStyles.None, CultureInfo.InvariantCulture, out var slot) && slot < visits.Length)
            {
                visits[slot]++;
                total++;
            }
        }

        var lines = spec.Lines.OrderBy(line => line.Slot).ToArray();
        var counts = new Dictionary<(string File, int Line), (SourceLine Line, int Count)>();
        for (var i = 0; i < lines.Length; i++)
        {
            var end = i + 1 < lines.Length ? lines[i + 1].Slot : visits.Length;
            var count = 0;
            for (var at = Math.Max(lines[i].Slot, 0); at < Math.Min(end, visits.Length); at++)
            {
                count += visits[at];
            }

            var key = (lines[i].File, lines[i].Line);
            counts[key] = (lines[i], count + (counts.TryGetValue(key, out var before) ? before.Count : 0));
        }

        return total == 0
            ? []
            : [.. counts.Values.OrderByDescending(c => c.Count).Where(c => c.Count > 0).Select(c => new VerifierHotspot(c.Line, (double)c.Count / total))];
    }
}
