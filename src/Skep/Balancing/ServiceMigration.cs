using Skep.Bpf.Maps;
using Skep.Engine;

namespace Skep.Balancing;

/// <summary>
/// Carries services over into a table of another size. What finds no room is entered again when services are applied; but numbers of services stay, because
/// backends, limits and flows have them, and must be among those of the new tables.
/// </summary>
internal sealed class ServiceMigration(uint maxServices) : IMigratesEntries
{
    public MapCopyResult? Migrate(MapBefore before, BpfMap map, bool isInUse)
    {
        if (!before.HasSameLayout || MapCopy.For(before.Storage, before.Shape, map) is not { } copy)
        {
            return null;
        }

        var result = copy.Run();
        uint outside = 0, highest = 0;
        ((HashMap<ServiceKey, ServiceEntry>)map).ReadAll((_, entry) =>
        {
            if (entry.Id != ServiceEntry.AddressOnly && entry.Id >= maxServices)
            {
                (outside, highest) = (outside + 1, Math.Max(highest, entry.Id));
            }
        });
        return outside == 0 ? result : throw Refusal(maxServices, outside, highest);
    }

    /// <summary>Says that numbers in use are not among those of the new tables.</summary>
    internal static LayoutException Refusal(uint maxServices, uint outside, uint highest) => new(
        $"The tables of services cannot be made for {maxServices}: {outside} services in use have higher numbers, up to {highest}. Nothing was changed, and what is balanced goes on. "
        + $"Ask for {highest + 1} services in a TableSizes resource, or run 'skep down' first, which gives numbers anew.");
}
