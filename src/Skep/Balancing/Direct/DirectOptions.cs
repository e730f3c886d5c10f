using System.Collections.Immutable;
using Skep.Packets;

namespace Skep.Balancing;

/// <summary>What a program with direct return does; all of it is constant in its code.</summary>
public sealed record DirectOptions
{
    /// <summary>Ways in which packets travel.</summary>
    public DirectModes Modes { get; init; } = DirectModes.IpIp | DirectModes.Gue | DirectModes.Geneve | DirectModes.L2;

    /// <summary>Whether there are backends with IPv4 addresses.</summary>
    public bool IPv4Backends { get; init; } = true;

    /// <summary>Whether there are backends with IPv6 addresses.</summary>
    public bool IPv6Backends { get; init; } = true;

    /// <summary>Whether next hops may be behind a VLAN of the interface.</summary>
    public bool Vlans { get; init; } = true;

    /// <summary>What services ask for beyond affinity of connections, over all of them.</summary>
    public VipFlags Features { get; init; } = VipFlags.Untracked | VipFlags.ByClient | VipFlags.Restricted | VipFlags.MoreRanges;

    /// <summary>Whether backends are measured by what clients send; connections that begin cost a call more for it.</summary>
    public bool Measure { get; init; }

    /// <summary>Whether backends are measured by connections that are sampled: their packets cost a call more, those of all others a few comparisons.</summary>
    public bool Sample { get; init; }

    /// <summary>Whether services may have ranges of ports.</summary>
    public bool Ranges { get; init; } = true;

    /// <summary>Secret of the flow table's hash; the same as long as the table lives, and not told to anybody.</summary>
    public ulong Seed { get; init; } = 0x5DEECE66D1CE4E5B;

    /// <summary>The endpoints, when they are few and become code; null to look them up in the table.</summary>
    public VipList? Vips { get; init; }
}

/// <summary>Endpoints that become code, in the order in which they are compared. Two lists of the same endpoints in the same order are equal.</summary>
/// <param name="entries">The endpoints; no range of ports when the list is not whole, because one of its ports may be another endpoint in the table.</param>
/// <param name="isWhole">Whether there are no others; else the table is asked when none of these fits.</param>
public sealed class VipList(ImmutableArray<VipEntry> entries, bool isWhole = true) : IEquatable<VipList>
{
    /// <summary>Endpoints that are compiled in at most. What comes last of so many waits as long as the table takes, so those with most traffic come first.</summary>
    public const int Most = 16;

    /// <summary>Whether there are no other endpoints.</summary>
    public bool IsWhole { get; } = isWhole;

    /// <summary>The endpoints.</summary>
    public ImmutableArray<VipEntry> Entries { get; } = entries;

    /// <inheritdoc/>
    public bool Equals(VipList? other) => other is not null && IsWhole == other.IsWhole && Entries.AsSpan().SequenceEqual(other.Entries.AsSpan());

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as VipList);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = default(HashCode);
        foreach (var entry in Entries)
        {
            hash.Add(entry);
        }

        return hash.ToHashCode();
    }
}

/// <summary>An endpoint that becomes code.</summary>
/// <param name="Address">Virtual address.</param>
/// <param name="Protocol">Protocol.</param>
/// <param name="FirstPort">The port, or the first one of a range.</param>
/// <param name="LastPort">The last port.</param>
/// <param name="Service">Id of the service.</param>
/// <param name="Flags">How its packets are treated.</param>
public sealed record VipEntry(IpAddress Address, IpProtocol Protocol, ushort FirstPort, ushort LastPort, ushort Service, VipFlags Flags);
