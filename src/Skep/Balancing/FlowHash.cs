namespace Skep.Balancing;

/// <summary>The keyed hash of tables of flows, the same in programs and in the process.</summary>
internal static class FlowHash
{
    /// <summary>Hash of an address and of what belongs to it. The seeds are known to this host only: nobody can choose flows that share a set.</summary>
    internal static ulong Of(ulong addressUpper, ulong addressLower, ulong rest, ulong seedUpper, ulong seedLower)
    {
        var lower = (addressLower ^ seedLower) * 0x9E3779B97F4A7C15;
        var upper = (addressUpper ^ seedUpper) * 0xC2B2AE3D27D4EB4F;
        var hash = (lower ^ (lower >> 32)) + (upper ^ (upper >> 29));
        hash = (hash ^ rest) * 0x165667B19E3779F9;
        return hash ^ (hash >> 32);
    }
}
