using System.Text;
using Skep.Bpf;
using Skep.Bpf.Btf;
using Skep.Bpf.Kernel;
using Skep.Bpf.Maps;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.Maps;

public class MapFlagTests
{
    private static T Bound<T>(T map)
        where T : BpfMap
    {
        map.Bind(KernelMapStorage.Create(map));
        return map;
    }

    [KernelFact]
    public void A_descriptor_for_one_direction_refuses_the_other()
    {
        using var readOnly = Bound(new HashMap<uint, uint>(4, "ro", MapFlags.ReadOnlyForProcess));
        using var writeOnly = Bound(new HashMap<uint, uint>(4, "wo", MapFlags.WriteOnlyForProcess));

        Assert.Equal(-Errno.Permission, readOnly.TrySet(1, 1));
        Assert.False(readOnly.TryGet(1, out _));
        Assert.Equal(0, writeOnly.TrySet(1, 1));
        Assert.Equal(Errno.Permission, Assert.Throws<BpfException>(() => writeOnly.TryGet(1, out _)).ErrorNumber);
    }

    [KernelFact]
    public void A_frozen_map_can_be_read_mapped_and_not_written()
    {
        using var map = Bound(new ArrayMap<uint>(4, "frozen", MapFlags.ReadOnlyForPrograms));
        map.Set(1, 5);
        ((KernelMapStorage)map.Storage).Freeze();

        Assert.Equal(-Errno.Permission, map.TrySet(1, 6));
        Assert.True(map.TryGet(1, out var value) && value == 5);

        using var constants = new ArrayMap<uint>(4, "constants", MapFlags.ReadOnlyForPrograms | MapFlags.Mmapable);
        constants.Bind(KernelMapStorage.Create(constants));
        Assert.Equal(0u, constants.Find(3));
    }

    [KernelFact]
    public void Memory_comes_from_the_node_that_was_asked_for()
    {
        using var here = Bound(new HashMap<uint, uint>(4, "node") { NumaNode = 0 });
        using var nowhere = new HashMap<uint, uint>(4, "node") { NumaNode = 1023 };

        Assert.Equal(MapFlags.OnNumaNode, ((KernelMapStorage)here.Storage).Flags);
        Assert.Equal(Errno.Invalid, Assert.Throws<BpfException>(() => KernelMapStorage.Create(nowhere)).ErrorNumber);
    }

    [KernelFact]
    public void Entries_made_when_used_work_like_the_others()
    {
        using var map = Bound(new HashMap<uint, uint>(100, "late", MapFlags.NoPrealloc));
        for (var i = 0u; i < 100; i++)
        {
            map.Set(i, i);
        }

        Assert.Equal(-Errno.TooBig, map.TrySet(100, 1));
        Assert.Equal(100, map.ReadAll((k, v) => Assert.Equal(k, v)));
    }

    [KernelFact]
    public void A_pin_may_be_opened_by_who_only_reads()
    {
        using var pins = new TestPins();
        using var map = Bound(new HashMap<uint, uint>(4, "shared"));
        ((KernelMapStorage)map.Storage).Pin(pins.Path("shared"));
        using var reader = new HashMap<uint, uint>(4, "shared", MapFlags.ReadOnlyForProcess);

        reader.Bind(KernelMapStorage.OpenPinned(pins.Path("shared"), reader));
    }

#pragma warning disable CS0649 // only their layout is looked at
    private enum Colour : byte
    {
        Red = 1,
        Blue = 200,
    }

    private struct Inner
    {
        public byte First;
        public Colour Colour;
        public unsafe fixed ushort Ports[3];
    }

    private struct Record
    {
        public long Stamp;
        public Inner Inner;
        public bool Seen { get; set; }
    }
#pragma warning restore CS0649

    [KernelFact]
    public void The_kernel_knows_keys_and_values_by_their_fields()
    {
        using var map = Bound(new HashMap<uint, Record>(4, "typed"));
        var info = default(MapInfo);
        BpfSyscall.ObjGetInfo(((KernelMapStorage)map.Storage).Handle, ref info);
        Assert.NotEqual(0u, info.BtfId);
        using var btf = BtfFile.OpenById(info.BtfId);

        Assert.Equal("unsigned int", btf[info.BtfKeyType].Name);
        var text = new StringBuilder();
        foreach (var member in btf.Members(info.BtfValueType))
        {
            text.Append(member.Name).Append('@').Append(member.BitOffset / 8).Append(' ');
        }

        Assert.Equal("Stamp@0 Inner@8 Seen@16 ", text.ToString());
        var inner = btf.Members(btf.Members(info.BtfValueType)[1].Type);
        Assert.Equal(["First", "Colour", "Ports"], inner.Select(m => m.Name));
        Assert.Equal(["Red", "Blue"], btf.Enumerators("Colour").Select(e => e.Name));
    }
}
