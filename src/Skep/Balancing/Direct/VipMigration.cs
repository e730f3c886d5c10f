using Skep.Bpf;
using Skep.Bpf.Maps;
using Skep.Engine;

namespace Skep.Balancing;

/// <summary>Puts the endpoints of a <see cref="VipTable"/> into one of another size, where their hashes have other places.</summary>
/// <param name="maxServices">Numbers that services may have.</param>
internal sealed class VipMigration(uint maxServices) : IMigratesEntries
{
    public MapCopyResult? Migrate(MapBefore before, BpfMap map, bool isInUse)
    {
        if (!before.HasSameLayout || before.Shape.Kind != MapKind.Array)
        {
            return null;
        }

        var table = new VipTable((ArrayMap<VipSlot>)map);
        long copied = 0, noRoom = 0;
        uint outside = 0, highest = 0;
        foreach (var slot in VipTable.Read(before.Storage, before.Shape.MaxEntries))
        {
            var status = table.Set(in slot);
            if (status is not 0 and not -Errno.TooBig)
            {
                throw new BpfException($"Writing to map '{map.Name}' failed", status);
            }

            copied += status == 0 ? 1 : 0;
            noRoom += status == 0 ? 0 : 1;
            if (slot.Service >= maxServices)
            {
                (outside, highest) = (outside + 1, Math.Max(highest, slot.Service));
            }
        }

        return outside == 0 ? new(copied, 0, noRoom) : throw ServiceMigration.Refusal(maxServices, outside, highest);
    }
}
