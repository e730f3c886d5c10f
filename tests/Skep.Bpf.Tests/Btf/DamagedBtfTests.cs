using System.Buffers.Binary;
using Skep.Bpf.Btf;

namespace Skep.Bpf.Tests.Btf;

/// <summary>BTF comes from files too: whatever is in them, reading ends, with an answer or with the reason.</summary>
public class DamagedBtfTests
{
    private static byte[] Sample()
    {
        var builder = new BtfBuilder();
        var number = builder.AddInt("int", 4, signed: true);
        var inner = builder.AddStruct("", 16, ("low", number, 0u), ("high", builder.AddArray(number, number, 3), 32u));
        var either = builder.AddUnion("", 16, ("wide", builder.AddInt("u64", 8, signed: false)), ("", inner));
        builder.AddStruct("outer", 32, ("a", number, 0u), ("", either, 64u), ("tail", builder.AddConst(builder.AddTypedef("t", number)), 192u));
        builder.AddEnum("color", ("RED", 1), ("NONE", -1));
        return builder.Build();
    }

    [Fact]
    public void No_mutation_does_more_than_be_refused()
    {
        var sample = Sample();
        var random = new Random(7);
        for (var i = 0; i < 30_000; i++)
        {
            var bytes = sample.AsSpan(0, sample.Length - (random.Next(4) / 3 * random.Next(sample.Length))).ToArray();
            for (var flips = random.Next(1, 5); flips > 0 && bytes.Length > 0; flips--)
            {
                // Whole words too: counts, offsets and type numbers are what there is to break.
                var at = random.Next(bytes.Length);
                bytes[at] = (byte)random.Next(256);
                if (random.Next(2) == 0 && at + 4 <= bytes.Length)
                {
                    BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(at), random.Next(3) - 1);
                }
            }

            try
            {
                ReadEverything(bytes);
            }
            catch (InvalidDataException refused)
            {
                Assert.NotEmpty(refused.Message);
            }
        }
    }

    [Fact]
    public void A_struct_that_contains_itself_many_times_is_looked_through_once()
    {
        var builder = new BtfBuilder();
        var members = Enumerable.Repeat(("", 1u, 0u), 64).ToArray();
        builder.AddStruct("ouroboros", 8, members);
        using var btf = BtfFile.Parse(builder.Build());

        Assert.Null(btf.FindField("ouroboros", "missing"));
    }

    [Fact]
    public void A_name_at_the_end_of_thousands_of_others_is_found()
    {
        var builder = new BtfBuilder();
        for (var i = 0; i < 5000; i++)
        {
            builder.AddStruct($"n{i}_x", 4);
        }

        builder.AddStruct("x", 8);
        using var btf = BtfFile.Parse(builder.Build());

        Assert.Equal(5001u, btf.Find("x", BtfKind.Struct));
        Assert.Null(btf.Find("x", BtfKind.Union));
    }

    private static void ReadEverything(byte[] bytes)
    {
        using var btf = BtfFile.Parse(bytes);
        btf.FindField("outer", "high");
        btf.FindField("outer", "tail");
        btf.Enumerators("color");
        for (var id = 1u; id < (uint)btf.Count; id++)
        {
            var type = btf[id];
            btf.SizeOf(id);
            if (type.Kind is BtfKind.Struct or BtfKind.Union)
            {
                btf.Members(id);
            }
        }
    }
}
