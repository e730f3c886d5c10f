using Skep.Bpf.Btf;
using Skep.Bpf.Maps;

namespace Skep.Engine;

/// <summary>
/// What becomes of the entries of a pinned map when the next agent wants the map in another size or layout. Declared beside the map, by what the entries are.
/// </summary>
public sealed record MapMigration
{
    /// <summary>Nobody else knows the entries: all are carried over, and where they cannot be, the migration is refused.</summary>
    public static MapMigration Kept { get; } = new();

    /// <summary>The user half makes the entries right before programs see them: what fits is carried over, for counters and numbers; the rest is made anew.</summary>
    public static MapMigration Rebuilt { get; } = new() { MayLose = true };

    /// <summary>Programs write the entries too, and none may be lost: what they add while programs are exchanged is carried after.</summary>
    public static MapMigration Live { get; } = new() { IsLive = true };

    /// <summary>Programs write the entries too, and do without those that find no room.</summary>
    public static MapMigration Cache { get; } = new() { IsLive = true, MayLose = true };

    /// <summary>What is in it means nothing to those who come later: the new map begins empty.</summary>
    public static MapMigration Scratch { get; } = new() { MayLose = true, BeginsEmpty = true };

    /// <summary>Whether entries that find no room, or cannot be read any more, may be left behind.</summary>
    public bool MayLose { get; init; }

    /// <summary>Whether programs write entries, so that a second pass is needed when the new ones run.</summary>
    public bool IsLive { get; init; }

    /// <summary>Whether nothing is carried over.</summary>
    public bool BeginsEmpty { get; init; }

    /// <summary>Carries entries over whose place in the map goes by its size, or that must be looked at; null copies them under their keys.</summary>
    public IMigratesEntries? By { get; init; }

    /// <summary>Names under which earlier versions pinned what this map holds; their pins go when this one is in force.</summary>
    public IReadOnlyList<string> FormerNames { get; init; } = [];
}

/// <summary>Carries the entries of a map over in its own way.</summary>
public interface IMigratesEntries
{
    /// <summary>
    /// Brings <paramref name="map"/> to what <paramref name="before"/> holds; called again, when the map is live, before and after programs are exchanged.
    /// </summary>
    /// <param name="before">The map so far, which programs may use meanwhile.</param>
    /// <param name="map">The map that takes its place.</param>
    /// <param name="isInUse">Whether programs use the new map too: then what it has that is newer stays. As long as they do not, it becomes what the old one is.</param>
    /// <returns>What became of the entries; null when they cannot be read, as in a layout that is not known: then the map begins empty, if it may.</returns>
    /// <exception cref="LayoutException">It must not be done; the message says why, and what to do.</exception>
    MapCopyResult? Migrate(MapBefore before, BpfMap map, bool isInUse);

    /// <summary>Tells that from now on, after a pass, some programs use the map of before and some the next, or, after another pass, that they do so no more.</summary>
    /// <param name="until">Programs' time in nanoseconds by which it has ended if nobody tells; 0 when it ended.</param>
    void Exchanging(ulong until)
    {
    }
}

/// <summary>A map that another one takes the place of.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Shape">Its kind and sizes.</param>
/// <param name="Storage">Its entries.</param>
/// <param name="HasSameLayout">Whether its keys and values are those of the new map.</param>
/// <param name="Types">Its types, with the numbers of those of key and value; null when they are not known.</param>
public sealed record MapBefore(string Name, MapShape Shape, MapStorage Storage, bool HasSameLayout, (BtfFile File, uint Key, uint Value)? Types = null);

/// <summary>Pinned state cannot be carried over; nothing was changed.</summary>
public sealed class LayoutException(string message) : Exception(message);
