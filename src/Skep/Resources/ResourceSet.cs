using System.Collections.Immutable;

namespace Skep.Resources;

/// <summary>Everything that was asked for, valid and immutable: the input of the agent.</summary>
public sealed record ResourceSet
{
    /// <summary>Nothing asked: observe only.</summary>
    public static ResourceSet Empty { get; } = new();

    /// <summary>Load balancers, in the order of files and documents.</summary>
    public ImmutableArray<LoadBalancer> LoadBalancers { get; init; } = [];

    /// <summary>Block lists.</summary>
    public ImmutableArray<BlockList> BlockLists { get; init; } = [];

    /// <summary>Rate limits.</summary>
    public ImmutableArray<RateLimit> RateLimits { get; init; } = [];

    /// <summary>Ends of tunnels on this host.</summary>
    public ImmutableArray<TunnelEndpoint> TunnelEndpoints { get; init; } = [];

    /// <summary>Sizes of the tables; null when nothing is said about them.</summary>
    public TableSizes? TableSizes { get; init; }

    /// <summary>All resources.</summary>
    public IEnumerable<Resource> All => [.. LoadBalancers, .. BlockLists, .. RateLimits, .. TunnelEndpoints, .. TableSizes is null ? [] : (Resource[])[TableSizes]];

    /// <summary>
    /// The same set, in which load balancers that were read from the same text as those of <paramref name="before"/> are the objects from there: who follows changes then
    /// sees by identity what did not change. Their places in files are those of before.
    /// </summary>
    public ResourceSet Keeping(ResourceSet before)
    {
        ArgumentNullException.ThrowIfNull(before);
        var known = before.LoadBalancers.ToDictionary(b => b.Name, StringComparer.Ordinal);
        return this with
        {
            LoadBalancers = [.. LoadBalancers.Select(b => b.Digest != 0 && known.TryGetValue(b.Name, out var old) && b.Digest == old.Digest ? old : b)],
        };
    }

    /// <summary>Number of resources.</summary>
    public int Count => LoadBalancers.Length + BlockLists.Length + RateLimits.Length + TunnelEndpoints.Length + (TableSizes is null ? 0 : 1);
}

/// <summary>What all kinds of resources have.</summary>
public abstract record Resource
{
    /// <summary>Kind as written in the file.</summary>
    public abstract string Kind { get; }

    /// <summary><c>metadata.name</c>: unique within its kind.</summary>
    public required string Name { get; init; }

    /// <summary>Where it was declared.</summary>
    public required ResourceSource Source { get; init; }

    /// <summary><c>metadata.labels</c>.</summary>
    public ImmutableSortedDictionary<string, string> Labels { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <summary><c>spec.interfaces</c>: where the resource is enforced; never guessed.</summary>
    public required ImmutableArray<string> Interfaces { get; init; }

    /// <summary>What the document says, layout and comments aside, as a number; equal ones say the same. 0 when it was not read from a document.</summary>
    public UInt128 Digest { get; init; }

    /// <summary><c>spec.hook</c>: where packets are taken from these interfaces.</summary>
    public EdgeHook Hook { get; init; }
}

/// <summary>Position of a resource or of a part of it.</summary>
/// <param name="File">File as the user named it.</param>
/// <param name="Line">Line, from 1.</param>
/// <param name="Column">Column, from 1.</param>
public readonly record struct ResourceSource(string File, int Line, int Column);
