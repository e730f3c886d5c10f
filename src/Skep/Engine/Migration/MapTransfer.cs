using System.Globalization;
using Skep.Bpf.Btf;
using Skep.Bpf.Maps;

namespace Skep.Engine;

/// <summary>Carries the entries of one map into the one that takes its place, and tells how that went.</summary>
internal sealed class MapTransfer
{
    private readonly MapBefore _before;
    private readonly BpfMap _map;
    private readonly MapMigration _rule;
    private readonly MapCopy? _copy;

    private MapTransfer(MapBefore before, BpfMap map, MapMigration rule, MapCopy? copy) => (_before, _map, _rule, _copy) = (before, map, rule, copy);

    /// <summary>What happened, for people; empty when nothing did that matters to them.</summary>
    public string Notice { get; private set; } = "";

    /// <summary>Carries over what the rule says.</summary>
    /// <param name="before">The map so far.</param>
    /// <param name="map">The bound map that takes its place.</param>
    /// <param name="types">Types of the new map; null when they are not known.</param>
    /// <param name="rule">What becomes of the entries.</param>
    /// <param name="mayForget">Whether a map that refuses begins empty instead.</param>
    /// <exception cref="LayoutException">The rule refuses.</exception>
    public static MapTransfer Begin(MapBefore before, BpfMap map, (BtfFile File, uint Key, uint Value)? types, MapMigration rule, bool mayForget)
    {
        var changes = new List<string>();
        var copy = rule.BeginsEmpty || rule.By is not null ? null : CopyFor(before, map, types, changes);
        var transfer = new MapTransfer(before, map, rule, copy);
        try
        {
            var result = transfer.Run();
            transfer.Notice = rule.BeginsEmpty ? "" : $"map '{map.Name}' {transfer.Sizes}{Text(changes)}: {Text(result)}";
        }
        catch (LayoutException e) when (mayForget)
        {
            transfer.Notice = $"map '{map.Name}' was recreated empty: {e.Message}";
        }

        return transfer;
    }

    /// <summary>Carries over what programs added since.</summary>
    /// <param name="isInUse">Whether programs use the new map too; as long as they do not, what is gone from the old one goes as well.</param>
    public void CatchUp(bool isInUse)
    {
        if (_rule is not { IsLive: true, BeginsEmpty: false })
        {
            return;
        }

        if (_rule.By is { } custom)
        {
            custom.Migrate(_before, _map, isInUse);
        }
        else if (isInUse)
        {
            _copy?.Add();
        }
        else
        {
            _copy?.Renew();
        }
    }

    /// <summary>Tells the rule that programs are exchanged until <paramref name="until"/> in their time, or that they were, with 0.</summary>
    public void Exchanging(ulong until)
    {
        if (_rule.IsLive)
        {
            _rule.By?.Exchanging(until);
        }
    }

    private string Sizes => _before.Shape.MaxEntries == _map.MaxEntries ? "has a new layout"
        : string.Create(CultureInfo.InvariantCulture, $"holds {_map.MaxEntries} instead of {_before.Shape.MaxEntries}");

    private MapCopyResult? Run()
    {
        if (_rule.BeginsEmpty)
        {
            return null;
        }

        var result = _rule.By is { } custom ? custom.Migrate(_before, _map, isInUse: false) : _copy?.Run();
        if (_rule.MayLose)
        {
            return result;
        }

        if (result is not { } counts)
        {
            throw Refusal(_before.Shape.Kind != _map.Kind
                ? $"it is a {_before.Shape.Kind} and would become a {_map.Kind}"
                : "its keys or values have nothing in common with those of this version");
        }

        if (counts.NoRoom > 0)
        {
            throw new LayoutException(string.Create(
                CultureInfo.InvariantCulture,
                $"Map '{_map.Name}' cannot become smaller: {counts.NoRoom} of its entries find no room among {_map.MaxEntries} ({_before.Shape.MaxEntries} so far). ")
                + $"{GoesOn} Ask for more in a TableSizes resource, or make it smaller when fewer are in use.");
        }

        return counts.Unlike == 0 ? counts : throw Refusal(string.Create(CultureInfo.InvariantCulture, $"{counts.Unlike} entries hold numbers that this version has no place for"));
    }

    private const string GoesOn = "Nothing was changed, and what it enforces goes on.";

    private LayoutException Refusal(string why) => new(
        $"Map '{_map.Name}' was pinned by another version of Skep and cannot be carried over: {why}. {GoesOn} Start with --recreate to replace it by an empty map, or run 'skep down' first.");

    private static MapCopy? CopyFor(MapBefore before, BpfMap map, (BtfFile File, uint Key, uint Value)? types, List<string> changes)
    {
        if (before.HasSameLayout)
        {
            return MapCopy.For(before.Storage, before.Shape, map);
        }

        if (before.Types is not { } old || types is not { } now)
        {
            return null;
        }

        var (key, value) = (BtfConversion.Between(old.File, old.Key, now.File, now.Key), BtfConversion.Between(old.File, old.Value, now.File, now.Value));
        foreach (var part in new[] { key, value })
        {
            changes.AddRange(part.Added.Except(part.Removed).Select(a => $"{a} is new"));
            changes.AddRange(part.Removed.Except(part.Added).Select(r => $"{r} is gone"));
            changes.AddRange(part.Added.Intersect(part.Removed).Select(b => $"{b} begins anew"));
        }

        return MapCopy.For(before.Storage, before.Shape, map, key, value);
    }

    private static string Text(List<string> changes) => changes.Count == 0 ? "" : $" ({string.Join(", ", changes)})";

    private static string Text(MapCopyResult? result) => result is not { } counts ? "it begins empty" : string.Create(
        CultureInfo.InvariantCulture,
        $"{counts.Copied} entries were carried over{(counts.NoRoom > 0 ? $", {counts.NoRoom} found no room" : "")}{(counts.Unlike > 0 ? $", {counts.Unlike} are of no meaning any more" : "")}");
}
