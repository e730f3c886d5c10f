using System.Buffers.Binary;
using Skep.Bpf.Btf;

namespace Skep.Bpf.Tests.Btf;

public class BtfTests
{
    /// <summary>struct outer { int a; union { u64 wide; struct { int low; int high[3]; }; }; const inner_t tail; } with inner_t a typedef.</summary>
    private static byte[] Sample()
    {
        var builder = new BtfBuilder();
        var number = builder.AddInt("int", 4, signed: true);
        var wide = builder.AddInt("u64", 8, signed: false);
        var three = builder.AddArray(number, number, 3);
        var halves = builder.AddStruct("", 16, ("low", number, 0u), ("high", three, 32u));
        var either = builder.AddUnion("", 16, ("wide", wide), ("", halves));
        var inner = builder.AddStruct("inner", 8, ("x", number, 0u), ("y", number, 32u));
        var tail = builder.AddConst(builder.AddTypedef("inner_t", inner));
        builder.AddStruct("outer", 32, ("a", number, 0u), ("", either, 64u), ("tail", tail, 192u));
        builder.AddEnum("color", ("RED", 1), ("NONE", -1));
        builder.AddFunction("run", builder.AddPrototype(number, ("context", builder.AddPointer(0))), global: true);
        return builder.Build();
    }

    [Theory]
    [InlineData("a", 0, 4)]
    [InlineData("wide", 8, 8)]
    [InlineData("low", 8, 4)]
    [InlineData("high", 12, 12)]
    [InlineData("tail", 24, 8)]
    [InlineData("tail.y", 28, 4)]
    public void Fields_are_found_by_their_path(string path, int offset, int size)
    {
        using var btf = BtfFile.Parse(Sample());

        var field = btf.FindField("outer", path);

        Assert.Equal((offset, size), (field!.Value.Offset, field.Value.Size));
    }

    [Fact]
    public void Types_are_found_by_name_and_kind()
    {
        using var btf = BtfFile.Parse(Sample());

        Assert.Equal("inner_t", btf[btf.Find("inner_t", BtfKind.Typedef)!.Value].Name);
        Assert.Null(btf.Find("inner_t", BtfKind.Struct));
        Assert.Null(btf.Find("nner", BtfKind.Struct));
        Assert.Equal([new("RED", 1), new("NONE", -1)], btf.Enumerators("color"));
        Assert.Equal(["a", "", "tail"], btf.Members(btf.Find("outer", BtfKind.Struct)!.Value).Select(m => m.Name));
    }

    [Fact]
    public void A_longer_header_is_skipped()
    {
        // Kernel 7.1 made the header longer; offsets count from its end.
        var bytes = Sample();
        byte[] longer = [.. bytes[..24], .. new byte[16], .. bytes[24..]];
        BinaryPrimitives.WriteUInt32LittleEndian(longer.AsSpan(4), 40);

        using var btf = BtfFile.Parse(longer);

        Assert.Equal(24, btf.FindField("outer", "tail")!.Value.Offset);
    }

    [Fact]
    public void An_unknown_kind_ends_the_types_but_not_the_reading()
    {
        var bytes = Sample();
        using var whole = BtfFile.Parse(bytes);
        var last = (uint)whole.Count - 1;

        // The function is last: 12 bytes before the strings, with its kind in the upper byte of the second word.
        var strings = 24 + (int)BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(16));
        bytes[strings - 12 + 7] = 31;
        using var btf = BtfFile.Parse(bytes);

        Assert.Equal(31, btf.UnknownKind);
        Assert.Equal((int)last, btf.Count);
        Assert.NotNull(btf.FindField("outer", "tail.y"));
    }

    [Fact]
    public void Damaged_input_is_refused_or_read_but_never_overrun()
    {
        var good = Sample();
        for (var i = 0; i < good.Length; i++)
        {
            foreach (var value in (byte[])[0, 1, 0x7f, 0xff])
            {
                var bad = (byte[])good.Clone();
                bad[i] = value;
                ReadAll(bad);
            }

            ReadAll(good[..i]);
        }
    }

    [Fact]
    public void Equal_strings_are_stored_once()
    {
        var builder = new BtfBuilder();

        Assert.Equal(builder.AddString("twice"), builder.AddString("twice"));
        Assert.Equal(0u, builder.AddString(""));
    }

    private static void ReadAll(byte[] bytes)
    {
        try
        {
            using var btf = BtfFile.Parse(bytes);
            for (var id = 1u; id < btf.Count; id++)
            {
                if (btf[id].Kind is BtfKind.Struct or BtfKind.Union)
                {
                    _ = btf.Members(id);
                }

                _ = btf.SizeOf(id);
            }

            _ = btf.FindField("outer", "tail.y");
            _ = btf.Enumerators("color");
        }
        catch (Exception e) when (e is InvalidDataException or ArgumentOutOfRangeException or OverflowException)
        {
            // Refused: a damaged number that points nowhere.
        }
    }
}
