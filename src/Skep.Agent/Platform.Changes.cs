using System.Net;
using Microsoft.Extensions.Logging;
using Skep.Agent.Api;
using Skep.Agent.Configuration;
using Skep.Engine;
using Skep.Packets;
using Skep.Resources;

namespace Skep.Agent;

/// <summary>What changes the state: resources and blocks.</summary>
internal sealed partial class Platform
{
    /// <summary>Reads the files again; with an error the last good set stays in force.</summary>
    public bool Reload()
    {
        lock (_gate)
        {
            _watcher.Acknowledge();
            var good = Adopt(_store.Load());
            Reconcile();
            return good;
        }
    }

    /// <summary>Checks a text and, unless it is a rehearsal, puts it into force in the place of what was applied before.</summary>
    public (ApplyView View, string? Refusal) Apply(ResourceText text, bool dryRun)
    {
        lock (_gate)
        {
            var loaded = Fitting(_store.Rehearse(text));
            ProblemView[] problems = [.. loaded.Problems.Select(ProblemView.Of)];
            if (loaded.Set is not { } set)
            {
                return (new ApplyView(false, 0, 0, 0, problems), "the resources have errors; nothing was changed");
            }

            if (dryRun && Refused(() => _edge.Rehearse(PlanFor(set.Keeping(_inForce))), set) is { } problem)
            {
                return (new ApplyView(false, 0, 0, 0, [.. problems, ProblemView.Of(problem)]), NotMade);
            }

            if (!dryRun)
            {
                var before = _store.ReadApplied();
                _store.SaveApplied(text);
                _watcher.Acknowledge();
                var isInForce = Adopt(loaded);
                problems = [.. _problems.Select(ProblemView.Of)];
                if (!isInForce)
                {
                    _store.RestoreApplied(before);
                    Reload();
                    return (new ApplyView(false, 0, 0, 0, problems), NotMade);
                }

                Reconcile();
                problems = [.. _problems.Select(ProblemView.Of)];
            }

            return (new ApplyView(!dryRun, set.LoadBalancers.Length, set.BlockLists.Length, set.RateLimits.Length, problems), null);
        }
    }

    /// <summary>Takes back what was applied; false when there was nothing.</summary>
    public bool DeleteApplied()
    {
        lock (_gate)
        {
            var existed = _store.DeleteApplied();
            if (existed)
            {
                Reload();
            }

            return existed;
        }
    }

    /// <summary>Blocks a source.</summary>
    public (BlockView? Block, string? Refusal) Block(IPNetwork prefix, TimeSpan? duration, string reason, IReadOnlyList<string> interfaces, bool force)
    {
        lock (_gate)
        {
            if (prefix.PrefixLength == 0)
            {
                return (null, $"{prefix} is every address.");
            }

            if (!force && Lockout.Find(prefix, _store.Protected()) is { } hit)
            {
                return (null, $"{prefix} covers {hit.Address}, {hit.Why}. Use --force when that is meant.");
            }

            if (_holdEdge)
            {
                return (null, $"{Shown(prefix)} cannot be blocked now: {Held}");
            }

            if (Enforced(interfaces, out var where) is { } refusal)
            {
                return (null, refusal);
            }

            var before = _blocks.Current.FirstOrDefault(b => b.Prefix == prefix.ToString());
            _blocks.Add(new ManualBlock(prefix.ToString(), reason, _wall.GetUtcNow() + duration, [.. where]));
            ApplyEdge();
            Reconcile();
            if (_problems.FirstOrDefault(p => p.Id == "not-in-force" && p.Message.StartsWith(Shown(prefix) + " is not blocked", StringComparison.Ordinal)) is { } problem)
            {
                // What was refused must not come into force by itself when there is room.
                TakeBack(prefix, before);
                return (null, $"{problem.Message}.");
            }

            if (_hooks.Refusals.FirstOrDefault(r => r.Key.IsEdge && _enforcedOn.TryGetValue(r.Key.InterfaceIndex, out var name) && where.Contains(name)) is { Value.Message: { } message } refused)
            {
                TakeBack(prefix, before);
                return (null, $"{Shown(prefix)} is not blocked: no program can be attached to {refused.Key.Target}: {message}");
            }

            return (Blocks().First(b => b.Prefix == Shown(prefix)), null);
        }
    }

    private void TakeBack(IPNetwork prefix, ManualBlock? before)
    {
        if (before is null)
        {
            _blocks.Remove(prefix);
        }
        else
        {
            _blocks.Add(before);
        }

        ApplyEdge();
        Reconcile();
    }

    /// <summary>Takes back a block by command; null, or why not.</summary>
    public string? Unblock(IPNetwork prefix)
    {
        lock (_gate)
        {
            if (_holdEdge)
            {
                return $"{Shown(prefix)} cannot be unblocked now: {Held}";
            }

            if (!_blocks.Remove(prefix))
            {
                return Blocks().FirstOrDefault(b => b.Prefix == Shown(prefix)) is { } listed
                    ? $"{Shown(prefix)} is blocked by {listed.Origin}: take it out of that resource."
                    : $"{Shown(prefix)} is not blocked; 'skep block' without an address lists the blocks.";
            }

            ApplyEdge();
            Reconcile();
            return null;
        }
    }

    private const string Held =
        "the resources have errors, no earlier good ones are kept, and programs of an earlier agent are in the kernel: they are left as they are, because nothing says "
        + "what they enforce. Mend the resources ('skep status' says where), or end the agent and run 'skep down' to begin with nothing.";

    private const string NotMade = "the tables cannot be made as the resources ask; nothing was changed";

    private void LoadFirst()
    {
        if (Adopt(_store.Load()))
        {
            return;
        }

        if (_store.LoadLastGood() is { } lastGood)
        {
            Enforce(lastGood);
        }
        else if (!_datapath.Attached.Any(a => a.Hook.IsEdge))
        {
            // Nothing of an earlier agent is there to be spared. What was blocked by command does not depend on the files.
            _holdEdge = false;
            ApplyEdge();
        }
    }

    private bool Adopt(LoadedResources found)
    {
        var loaded = Fitting(found);
        _current = loaded.Set is not null;
        _problems = loaded.Problems;
        foreach (var problem in loaded.Problems)
        {
            LogProblem(_logger, problem);
        }

        if (loaded.Set is not { } set)
        {
            _reloadsBad++;
            LogKept(_logger, _inForce.Count);
            return false;
        }

        if (Refused(() => Enforce(set), set) is { } refused)
        {
            _current = false;
            _problems = [.. _problems, refused];
            _reloadsBad++;
            LogProblem(_logger, refused);
            return false;
        }

        _reloadsGood++;
        KeepLastGood(loaded);
        return true;
    }

    // The problem, when the tables cannot become what a set asks for.
    private static ResourceProblem? Refused(Action change, ResourceSet set)
    {
        try
        {
            change();
            return null;
        }
        catch (LayoutException e)
        {
            var place = set.TableSizes?.Source ?? new ResourceSource("edge", 1, 1);
            return new ResourceProblem(place.File, place.Line, place.Column, "not-carried-over", e.Message.TrimEnd('.'), "the last good resources stay in force until then");
        }
    }

    // A disk that is full or read-only must not undo what is in force, nor keep the agent from starting.
    private void KeepLastGood(LoadedResources loaded)
    {
        try
        {
            _store.SaveLastGood(loaded);
            _notKept = null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _notKept = $"the resources are in force but could not be kept for a restart: {e.Message}";
            LogNotice(_logger, _notKept);
        }
    }

    private void Enforce(ResourceSet set)
    {
        var (before, held) = (_inForce, _holdEdge);
        try
        {
            (_inForce, _holdEdge) = (set.Keeping(_inForce), false);
            ApplyEdge();
        }
        catch (LayoutException)
        {
            (_inForce, _holdEdge) = (before, held);
            throw;
        }

        _generation++;
        _appliedAt = _wall.GetUtcNow();
        LogEnforced(_logger, set.LoadBalancers.Length, set.BlockLists.Length, set.RateLimits.Length);
    }

    private void ApplyEdge()
    {
        if (_holdEdge)
        {
            return;
        }

        var problems = _edge.Apply(PlanFor(_inForce));
        _problems =
        [
            .. _problems.Where(p => p.Id != "not-in-force"),
            .. problems.Select(p => new ResourceProblem("edge", 1, 1, "not-in-force", p.TrimEnd('.'), "see 'skep backends' and 'skep block'", ProblemSeverity.Warning)),
        ];
        foreach (var problem in problems)
        {
            LogNotice(_logger, problem);
        }
    }

    private EdgePlan PlanFor(ResourceSet set)
    {
        var current = _blocks.Current;
        PlannedBlock[] commands = [.. current.Select(b => new PlannedBlock(Prefix(b.Network), b.Until, "command", b.Reason))];
        return EdgePlan.For(set, commands, [.. current.SelectMany(b => b.Interfaces).Distinct(StringComparer.Ordinal)]);
    }

    // Sizes of tables are checked with everything else, so that a set is in force as a whole or not at all.
    private static LoadedResources Fitting(LoadedResources loaded)
    {
        if (loaded.Set is not { } set)
        {
            return loaded;
        }

        var tooLarge = EdgePlan.Check(set);
        return tooLarge.IsEmpty ? loaded : loaded with { Set = null, Problems = [.. loaded.Problems, .. tooLarge] };
    }

    // Blocks by command share the table of the block lists, so they are enforced where those are.
    private string? Enforced(IReadOnlyList<string> asked, out IReadOnlyList<string> interfaces)
    {
        interfaces = [.. _inForce.BlockLists.SelectMany(l => l.Interfaces).Distinct(StringComparer.Ordinal)];
        if (interfaces.Count == 0)
        {
            interfaces = [.. _blocks.Current.SelectMany(b => b.Interfaces).Distinct(StringComparer.Ordinal)];
        }

        if (interfaces.Count > 0)
        {
            return asked.Count == 0 || asked.ToHashSet(StringComparer.Ordinal).SetEquals(interfaces)
                ? null
                : $"Blocks are enforced on {string.Join(", ", interfaces)} already and share one table: leave --interface out.";
        }

        interfaces = asked;
        var known = Interfaces();
        return asked.Count == 0
            ? "Nothing is enforced anywhere yet: say where with --interface, for example --interface " + (known.FirstOrDefault(i => !i.IsLoopback).Name ?? "eth0") + "."
            : asked.FirstOrDefault(name => known.All(i => i.Name != name || i.IsLoopback)) is { } missing
                ? $"There is no interface '{Skep.Resources.Reading.Node.Quote(missing)}' to block on; there are {string.Join(", ", known.Where(i => !i.IsLoopback).Select(i => i.Name))}."
                : null;
    }

    private static IpPrefix Prefix(IPNetwork network) => new(IpAddress.From(network.BaseAddress), network.PrefixLength);

    private static string Shown(IPNetwork network) => Text(Prefix(network));

    [LoggerMessage(LogLevel.Warning, "{Problem}")]
    private static partial void LogProblem(ILogger logger, ResourceProblem problem);

    [LoggerMessage(LogLevel.Error, "The resources have errors; the last good ones ({Count}) stay in force")]
    private static partial void LogKept(ILogger logger, int count);

    [LoggerMessage(LogLevel.Information, "In force: {LoadBalancers} load balancers, {BlockLists} block lists, {RateLimits} rate limits")]
    private static partial void LogEnforced(ILogger logger, int loadBalancers, int blockLists, int rateLimits);
}
