namespace Skep.Balancing;

/// <summary>Where a list differs from the one before: what comes before and after is the same objects in the same order.</summary>
/// <param name="Start">First place that differs.</param>
/// <param name="Before">So many entries of the old list are replaced.</param>
/// <param name="After">By so many of the new one.</param>
internal readonly record struct ListChange(int Start, int Before, int After)
{
    /// <summary>The smallest part that covers all differences.</summary>
    internal static ListChange Between<T>(ReadOnlySpan<T> before, IReadOnlyList<T> after)
        where T : class
    {
        var shorter = Math.Min(before.Length, after.Count);
        var start = 0;
        while (start < shorter && ReferenceEquals(before[start], after[start]))
        {
            start++;
        }

        var end = 0;
        while (end < shorter - start && ReferenceEquals(before[before.Length - 1 - end], after[after.Count - 1 - end]))
        {
            end++;
        }

        return new ListChange(start, before.Length - start - end, after.Count - start - end);
    }
}
