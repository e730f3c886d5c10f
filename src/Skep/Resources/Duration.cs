using System.Globalization;

namespace Skep.Resources;

/// <summary>Durations as people write them: <c>500ms</c>, <c>10s</c>, <c>5m</c>, <c>2h</c>, <c>7d</c>, and sums such as <c>1h30m</c>.</summary>
public static class Duration
{
    /// <summary>Reads a duration of at least a millisecond and at most ten years.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out TimeSpan duration)
    {
        duration = default;
        if (text.IsEmpty || text.Length > 32)
        {
            return false;
        }

        double milliseconds = 0;
        while (!text.IsEmpty)
        {
            var digits = text.IndexOfAnyExceptInRange('0', '9');
            if (digits <= 0 || !long.TryParse(text[..digits], NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            {
                return false;
            }

            text = text[digits..];
            var letters = text.IndexOfAnyInRange('0', '9');
            var unit = letters < 0 ? text : text[..letters];
            var factor = unit switch
            {
                "ms" => 1d,
                "s" => 1000d,
                "m" => 60_000d,
                "h" => 3_600_000d,
                "d" => 86_400_000d,
                _ => 0d,
            };
            if (factor == 0)
            {
                return false;
            }

            milliseconds += number * factor;
            text = text[unit.Length..];
        }

        if (milliseconds is < 1 or > 3650 * 86_400_000d)
        {
            return false;
        }

        duration = TimeSpan.FromMilliseconds(milliseconds);
        return true;
    }

    /// <summary>The two largest units of a duration: <c>1h30m</c>.</summary>
    public static string Format(TimeSpan duration)
    {
        (long Amount, string Unit)[] parts =
        [
            (duration.Days, "d"), (duration.Hours, "h"), (duration.Minutes, "m"), (duration.Seconds, "s"), (duration.Milliseconds, "ms"),
        ];
        var shown = parts.SkipWhile(p => p.Amount == 0).Take(2).Where(p => p.Amount != 0).Select(p => $"{p.Amount}{p.Unit}").ToArray();
        return shown.Length == 0 ? "0s" : string.Concat(shown);
    }
}
