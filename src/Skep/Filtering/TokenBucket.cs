namespace Skep.Filtering;

/// <summary>
/// Kernel half: a token bucket in the form of the generic cell rate algorithm (ITU-T I.371), which keeps one number, the time at which the bucket will be full again, and
/// needs no division.
/// </summary>
internal static class TokenBucket
{
    /// <summary>Whether there is a token, and the number that is to be kept, which is the old one when nothing changes.</summary>
    /// <param name="full">When the bucket will be full.</param>
    /// <param name="now">The time, in the same unit.</param>
    /// <param name="interval">Time in which a token comes.</param>
    /// <param name="tolerance">Time in which all tokens but one come.</param>
    /// <param name="packets">Tokens that are wanted; one of them is enough, and all there are are taken at most.</param>
    /// <param name="after">When the bucket will be full afterwards.</param>
    internal static bool TryTake(ulong full, ulong now, ulong interval, ulong tolerance, uint packets, out ulong after)
    {
        var time = full < now ? now : full;
        var ahead = time - now;
        if (ahead > tolerance)
        {
            // Further ahead than this limit ever goes: left by another, slower one, to which nothing is owed any more.
            after = ahead > tolerance + interval ? now + tolerance + interval : full;
            return false;
        }

        var cost = interval * packets;
        after = packets == 1 || ahead + cost <= tolerance + interval ? time + cost : now + tolerance + interval;
        return true;
    }
}
