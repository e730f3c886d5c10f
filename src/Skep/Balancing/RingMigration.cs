using Skep.Bpf.Maps;
using Skep.Engine;

namespace Skep.Balancing;

/// <summary>
/// Carries rings over into a table with more or fewer rows. Those beyond its end, and all of them when slots have another width from now on, are built anew
/// from what services ask for, before programs see them.
/// </summary>
internal sealed class RingMigration : IMigratesEntries
{
    public MapCopyResult? Migrate(MapBefore before, BpfMap map, bool isInUse) =>
        before.HasSameLayout ? MapCopy.For(before.Storage, before.Shape, map)?.Run() : null;
}
