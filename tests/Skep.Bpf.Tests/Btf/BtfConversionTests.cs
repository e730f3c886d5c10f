using System.Runtime.InteropServices;
using Skep.Bpf.Btf;

namespace Skep.Bpf.Tests.Btf;

/// <summary>What becomes of a value when its type grows, shrinks and moves.</summary>
public sealed class BtfConversionTests
{
    private enum Before : byte
    {
        None,
        Open,
        Closed,
        Gone,
    }

    private enum After : ushort
    {
        None,
        Half,
        Open,
        Closed,
    }

    [Flags]
    private enum MarksBefore : uint
    {
        None = 0,
        One = 1,
        Two = 2,
        Three = 4,
    }

    [Flags]
    private enum MarksAfter : uint
    {
        None = 0,
        Three = 1,
        Two = 2,
        One = 256,
    }

    private record struct One<T>(T Value);

    private record struct Pair<TFirst, TSecond>(TFirst First, TSecond Second);

    private struct Inner
    {
        public ushort Port;
        public byte Kind;
    }

    // Filled as bytes.
#pragma warning disable CS0649
    private struct WiderInner
    {
        public byte Kind;
        public uint Port;
    }

    private unsafe struct Old
    {
        public uint Count;
        public int Balance;
        public Inner Place;
        public ulong Dropped;
        public fixed ushort Tail[3];
    }

    private unsafe struct New
    {
        public WiderInner Place;
        public ulong Added;
        public long Balance;
        public ulong Count;
        public fixed uint Tail[5];
    }
#pragma warning restore CS0649

    [Fact]
    public unsafe void Members_go_by_their_names_and_integers_keep_their_value_in_another_width()
    {
        var old = new Old { Count = uint.MaxValue, Balance = -7, Place = new() { Port = 443, Kind = 9 }, Dropped = 5 };
        for (var i = 0; i < 3; i++)
        {
            old.Tail[i] = (ushort)(60000 + i);
        }

        Assert.True(Convert<Old, New>(old, out var fresh, out var conversion));
        Assert.Equal((uint.MaxValue, -7L, 443u, (byte)9, 0ul), (fresh.Count, fresh.Balance, fresh.Place.Port, fresh.Place.Kind, fresh.Added));
        Assert.Equal([60000u, 60001u, 60002u, 0, 0], new ReadOnlySpan<uint>(fresh.Tail, 5).ToArray());
        Assert.Equal(["Added", "Tail[3..]"], conversion.Added);
        Assert.Equal(["Dropped"], conversion.Removed);
        Assert.False(conversion.IsIdentity);
    }

    [Fact]
    public void A_number_that_does_not_fit_its_narrower_member_is_no_value()
    {
        Assert.True(Convert<Pair<ulong, int>, Pair<ushort, sbyte>>(new(65535, -128), out var fits, out _));
        Assert.Equal(new(65535, -128), fits);
        Assert.False(Convert<Pair<ulong, int>, Pair<ushort, sbyte>>(new(65536, 0), out _, out _));
        Assert.False(Convert<Pair<ulong, int>, Pair<ushort, sbyte>>(new(0, 128), out _, out _));
        Assert.False(Convert<One<int>, One<uint>>(new(-1), out _, out _));
        Assert.True(Convert<One<int>, One<ulong>>(new(int.MaxValue), out var wide, out _));
        Assert.Equal((ulong)int.MaxValue, wide.Value);
    }

    [Fact]
    public void Names_of_enumerations_keep_their_meaning_when_their_numbers_move()
    {
        Assert.True(Convert<One<Before>, One<After>>(new(Before.Closed), out var state, out _));
        Assert.Equal(After.Closed, state.Value);
        Assert.False(Convert<One<Before>, One<After>>(new(Before.Gone), out _, out _));
        Assert.True(Convert<One<MarksBefore>, One<MarksAfter>>(new(MarksBefore.One | MarksBefore.Three), out var marks, out _));
        Assert.Equal(MarksAfter.One | MarksAfter.Three, marks.Value);
        Assert.False(Convert<One<MarksBefore>, One<MarksAfter>>(new((MarksBefore)8), out _, out _));
    }

    [Fact]
    public void Equal_types_are_copied_as_they_are_and_those_that_share_nothing_carry_nothing()
    {
        Assert.True(Between<Old, Old>().IsIdentity);
        Assert.True(Between<uint, uint>().IsIdentity);
        Assert.False(Between<uint, int>().IsIdentity);
        Assert.False(Between<Pair<float, Inner>, Pair<uint, ulong>>().CarriesAnything);
        Assert.Equal(["First", "Second"], Between<Pair<float, Inner>, Pair<uint, ulong>>().Removed);
        Assert.False(Between<Inner, uint>().CarriesAnything);
    }

    private static BtfConversion Between<TOld, TNew>()
        where TOld : unmanaged
        where TNew : unmanaged
    {
        BtfTypeWriter from = new(), to = new();
        var (old, fresh) = (from.Add(typeof(TOld)), to.Add(typeof(TNew)));
        return BtfConversion.Between(BtfFile.Parse(from.Build()), old, BtfFile.Parse(to.Build()), fresh);
    }

    private static bool Convert<TOld, TNew>(TOld old, out TNew fresh, out BtfConversion conversion)
        where TOld : unmanaged
        where TNew : unmanaged
    {
        conversion = Between<TOld, TNew>();
        fresh = default;
        return conversion.TryConvert(MemoryMarshal.AsBytes(new ReadOnlySpan<TOld>(in old)), MemoryMarshal.AsBytes(new Span<TNew>(ref fresh)));
    }
}
