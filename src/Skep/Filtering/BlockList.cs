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
/// User half of the block list. Expiry is enforced by the program itself, also where prefixes lie within each other; <see cref="Sweep"/> only frees the room.
/// The time provider's timestamp must be the kernel's monotonic clock, as <see cref="TimeProvider.System"/>'s is on Linux. Not for concurrent use.
/// </summary>
public sealed class BlockList(HashMap<IpAddress, BlockRule> addresses, LpmTrie<PrefixKey, BlockRule> prefixes, TimeProvider time)
{
    /// <summary>Blocks sources; one that is blocked already gets the new lifetime and keeps its counters. Null, or why it failed.</summary>
    public BlockProblem? Block(BlockRequest request)
    {
        var present = Rules();
        var wanted = Asked(present);
        wanted[request.Prefix] = ExpiryOf(request);
        return Write(wanted, present).FirstOrDefault(p => p.Prefix == request.Prefix);
    }

    /// <summary>Ends a block; false when there was none of exactly this prefix.</summary>
    public bool Unblock(IpPrefix prefix)
    {
        if (!Remove(prefix))
        {
            return false;
        }

        if (!prefix.IsSingleAddress)
        {
            // Narrower ones may have lasted as long as this one only.
            var rest = Rules();
            Write(Asked(rest), rest);
        }

        return true;
    }

    /// <summary>Makes <paramref name="wanted"/> all that is blocked: adds first, removes afterwards. Returns what could not be blocked.</summary>
    public ImmutableArray<BlockProblem> Apply(IReadOnlyCollection<BlockRequest> wanted)
    {
        ArgumentNullException.ThrowIfNull(wanted);
        var present = Rules();
        var asked = new Dictionary<IpPrefix, ulong>();
        foreach (var request in wanted)
        {
            asked[request.Prefix] = ExpiryOf(request);
        }

        var problems = Write(asked, present);
        var old = present.Keys.Where(p => !asked.ContainsKey(p)).ToArray();
        foreach (var prefix in old)
        {
            Remove(prefix);
        }

        // What was removed may have made the room that was missing.
        return problems.IsEmpty || old.Length == 0 ? problems : Write(asked, Rules());
    }

    /// <summary>Everything that is blocked now, and what has expired but was not swept yet (remaining time zero).</summary>
    public IReadOnlyList<BlockState> List()
    {
        var now = Now;
        return [.. Rules().Select(r => State(r.Key, r.Value, now))];
    }

    /// <summary>Frees the room of expired blocks; returns how many.</summary>
    public int Sweep()
    {
        var now = Now;
        return Rules().Where(r => r.Value.OwnExpiry != 0 && r.Value.OwnExpiry <= now).Count(r => Remove(r.Key));
    }

    private ulong Now => (ulong)(time.GetTimestamp() * (1e9 / time.TimestampFrequency));

    private static ulong Nanoseconds(TimeSpan span) => (ulong)Math.Max(0, span.Ticks) * TimeSpan.NanosecondsPerTick;

    private static Dictionary<IpPrefix, ulong> Asked(Dictionary<IpPrefix, BlockRule> rules) => rules.ToDictionary(r => r.Key, r => r.Value.OwnExpiry);

    private static ulong Later(ulong one, ulong two) => one == 0 || two == 0 ? 0 : Math.Max(one, two);

    private static BlockState State(IpPrefix prefix, BlockRule rule, ulong now)
    {
        TimeSpan? remaining = rule.OwnExpiry == 0
            ? null
            : TimeSpan.FromTicks((long)((rule.OwnExpiry - Math.Min(rule.OwnExpiry, now)) / TimeSpan.NanosecondsPerTick));
        return new BlockState(prefix, remaining, rule.Packets, rule.Bytes);
    }

    private ulong ExpiryOf(BlockRequest request) => request.Lifetime is { } lifetime ? Now + Nanoseconds(lifetime) : 0;

    /// <summary>
    /// Writes the rules that differ from those present. Sorted, a prefix stands behind the wider ones around it, so that one pass tells how long each is to last.
    /// A wider one that finds no room lends its time to none.
    /// </summary>
    private ImmutableArray<BlockProblem> Write(Dictionary<IpPrefix, ulong> wanted, Dictionary<IpPrefix, BlockRule> present)
    {
        var problems = ImmutableArray.CreateBuilder<BlockProblem>();
        var around = new Stack<(IpPrefix Prefix, ulong ExpiresAt)>();
        foreach (var (prefix, own) in wanted.OrderBy(w => w.Key.Address).ThenBy(w => w.Key.Length))
        {
            while (around.TryPeek(out var wider) && !wider.Prefix.Contains(prefix.Address))
            {
                around.Pop();
            }

            // Single addresses stand in a table of their own, and hide nothing.
            var until = !prefix.IsSingleAddress && around.TryPeek(out var nearest) ? Later(own, nearest.ExpiresAt) : own;
            var before = present.GetValueOrDefault(prefix);
            var isThere = present.ContainsKey(prefix) && (before.OwnExpiry, before.ExpiresAt) == (own, until);
            if (!isThere && Write(prefix, before with { OwnExpiry = own, ExpiresAt = until }) is { } problem)
            {
                problems.Add(problem);
            }
            else if (!prefix.IsSingleAddress)
            {
                around.Push((prefix, until));
            }
        }

        return problems.ToImmutable();
    }

    private BlockProblem? Write(IpPrefix prefix, BlockRule rule)
    {
        if (prefix.CoversMappedIPv4)
        {
            return new BlockProblem(prefix, $"{prefix} is not blocked: it would cover IPv4 too. Public IPv6 addresses are 2000::/3.");
        }

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
                ? $"{prefix.Address} is not blocked: the list is full at {addresses.MaxEntries} addresses; ask for more 'blockedAddresses' in a TableSizes resource."
                : $"{prefix} is not blocked: the list is full at {prefixes.MaxEntries} prefixes; ask for more 'blockedPrefixes' in a TableSizes resource."),
            _ => new BlockProblem(prefix, $"{prefix} is not blocked: the kernel said {Errno.NameOf(status)}."),
        };
    }

    private bool Remove(IpPrefix prefix)
    {
        if (prefix.IsSingleAddress)
        {
            var address = prefix.Address;
            return addresses.Remove(in address);
        }

        var key = PrefixKey.Of(prefix);
        return prefixes.Remove(in key);
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
}
