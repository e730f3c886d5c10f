using System.Collections.Immutable;
using Skep.Bpf;
using Skep.Bpf.Maps;
using Skep.Packets;

namespace Skep.Filtering;

/// <summary>A block that is wanted.</summary>
/// <param name="Prefix">Sources; a prefix of full length is a single address.</param>
/// <param name="Lifetime">How long from now on; null for ever.</param>
public readonly record struct BlockRequest(IpPrefix Prefix, TimeSpan? Lifetime = null);

/// <summary>A block that is in effect.</summary>
/// <param name="Prefix">Sources.</param>
/// <param name="Remaining">Time left; null for ever.</param>
/// <param name="Packets">Packets dropped so far.</param>
/// <param name="Bytes">Bytes dropped so far, Ethernet headers included.</param>
public sealed record BlockState(IpPrefix Prefix, TimeSpan? Remaining, ulong Packets, ulong Bytes);

/// <summary>A block that could not be put into effect.</summary>
/// <param name="Prefix">Sources.</param>
/// <param name="Message">A sentence for people.</param>
public sealed record BlockProblem(IpPrefix Prefix, string Message);

/// <summary>
/// User half of the block list. Expiry is enforced by the program itself; <see cref="Sweep"/> only frees the room.
/// The time provider's timestamp must be the kernel's monotonic clock, as <see cref="TimeProvider.System"/>'s is on Linux.
/// </summary>
public sealed class BlockList(HashMap<IpAddress, BlockRule> addresses, LpmTrie<PrefixKey, BlockRule> prefixes, TimeProvider time)
{
    /// <summary>Blocks sources; one that is blocked already gets the new lifetime and keeps its counters. Null, or why it failed.</summary>
    public BlockProblem? Block(BlockRequest request) => Write(request, Find(request.Prefix));

    /// <summary>Ends a block; false when there was none of exactly this prefix.</summary>
    public bool Unblock(IpPrefix prefix)
    {
        if (prefix.IsSingleAddress)
        {
            var address = prefix.Address;
            return addresses.Remove(in address);
        }

        var key = PrefixKey.Of(prefix);
        return prefixes.Remove(in key);
    }

    /// <summary>Makes <paramref name="wanted"/> all that is blocked: adds first, removes afterwards. Returns what could not be blocked.</summary>
    public ImmutableArray<BlockProblem> Apply(IReadOnlyCollection<BlockRequest> wanted)
    {
        ArgumentNullException.ThrowIfNull(wanted);
        var present = Rules();
        var problems = ImmutableArray.CreateBuilder<BlockProblem>();
        foreach (var request in wanted)
        {
            var problem = Write(request, present.GetValueOrDefault(request.Prefix));
            if (problem is not null)
            {
                problems.Add(problem);
            }
        }

        foreach (var prefix in present.Keys.Except(wanted.Select(w => w.Prefix)))
        {
            Unblock(prefix);
        }

        return problems.ToImmutable();
    }

    /// <summary>Everything that is blocked now, and what has expired but was not swept yet (remaining time zero).</summary>
    public IReadOnlyList<BlockState> List()
    {
        var now = Now;
        return [.. Rules().Select(r => State(r.Key, r.Value, now))];
    }

    /// <summary>Frees the room of expired blocks; returns how many. To be called about every second, so that no expired prefix hides a wider one.</summary>
    public int Sweep() => List().Where(s => s.Remaining == TimeSpan.Zero).Count(s => Unblock(s.Prefix));

    private ulong Now => (ulong)(time.GetTimestamp() * (1e9 / time.TimestampFrequency));

    private static ulong Nanoseconds(TimeSpan span) => (ulong)Math.Max(0, span.Ticks) * TimeSpan.NanosecondsPerTick;

    private static BlockState State(IpPrefix prefix, BlockRule rule, ulong now)
    {
        TimeSpan? remaining = rule.ExpiresAt == 0
            ? null
            : TimeSpan.FromTicks((long)((rule.ExpiresAt - Math.Min(rule.ExpiresAt, now)) / TimeSpan.NanosecondsPerTick));
        return new BlockState(prefix, remaining, rule.Packets, rule.Bytes);
    }

    private BlockProblem? Write(BlockRequest request, BlockRule before)
    {
        var prefix = request.Prefix;
        if (prefix.CoversMappedIPv4)
        {
            return new BlockProblem(prefix, $"{prefix} is not blocked: it would cover IPv4 too. Public IPv6 addresses are 2000::/3.");
        }

        var rule = before with { ExpiresAt = request.Lifetime is { } lifetime ? Now + Nanoseconds(lifetime) : 0 };
        int status;
        if (prefix.IsSingleAddress)
        {
            var address = prefix.Address;
            status = addresses.TrySet(in address, in rule);
        }
        else
        {
            var key = PrefixKey.Of(prefix);
            status = prefixes.TrySet(in key, in rule);
        }

        return status switch
        {
            0 => null,
            // The trie says ENOSPC when it is full, the hash table E2BIG.
            -Errno.TooBig or -Errno.NoSpace => new BlockProblem(prefix, prefix.IsSingleAddress
                ? $"{prefix.Address} is not blocked: the list is full at {addresses.MaxEntries} addresses."
                : $"{prefix} is not blocked: the list is full at {prefixes.MaxEntries} prefixes."),
            _ => new BlockProblem(prefix, $"{prefix} is not blocked: the kernel said {Errno.NameOf(status)}."),
        };
    }

    private Dictionary<IpPrefix, BlockRule> Rules()
    {
        var rules = new Dictionary<IpPrefix, BlockRule>();
        addresses.ReadAll((address, rule) => rules[new IpPrefix(address, address.IsIPv4 ? 32 : 128)] = rule);
        foreach (var key in prefixes.Keys)
        {
            if (prefixes.TryGet(in key, out var rule))
            {
                rules[key.Prefix] = rule;
            }
        }

        return rules;
    }

    private BlockRule Find(IpPrefix prefix)
    {
        if (prefix.IsSingleAddress)
        {
            var address = prefix.Address;
            return addresses.TryGet(in address, out var exact) ? exact : default;
        }

        // A lookup in the trie gives the longest match, which may be another prefix: the exact one is found among the keys.
        var key = PrefixKey.Of(prefix);
        return prefixes.TryGet(in key, out var rule) && prefixes.Keys.Any(k => k.Prefix == prefix) ? rule : default;
    }
}
