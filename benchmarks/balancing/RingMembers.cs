using Skep.Balancing;
using Skep.Packets;

namespace Skep.Benchmarks.Balancing;

/// <summary>Rings of so many members, made and changed as the balancer does.</summary>
internal static class RingMembers
{
    /// <summary>The size that Maglev balancers use for large services.</summary>
    internal const int Slots = 65537;

    internal const string Baseline = "Maglev built anew";

    internal static RingMember[] Of(IEnumerable<int> weights) =>
        [.. weights.Select((w, i) => new RingMember((uint)(i + 1), IpAddress.FromBytes([10, (byte)(i >> 16), (byte)(i >> 8), (byte)i]), 8080, w))];

    internal static (ushort[] Ring, int[] Held) Build(RingBuilder builder, RingMember[] members)
    {
        var ring = new ushort[Slots];
        var quotas = new int[members.Length];
        builder.Apply<ushort>(ring, members, quotas);
        return (ring, quotas);
    }

    internal static ushort[] Maglev(RingMember[] members)
    {
        var ring = new ushort[Slots];
        Skep.Balancing.Maglev.Fill<ushort>(ring, members);
        return ring;
    }
}
