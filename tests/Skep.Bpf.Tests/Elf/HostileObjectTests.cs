using Skep.Bpf.Elf;

namespace Skep.Bpf.Tests.Elf;

public sealed class HostileObjectTests
{
    private const int Mutants = 20_000;

    [Theory]
    [InlineData(0)]
    [InlineData(63)]
    [InlineData(64)]
    public void A_file_that_is_no_object_is_refused_with_the_place(int length)
    {
        var e = Assert.Throws<ElfFormatException>(() => ObjectSpec.Read(new byte[length]));
        Assert.Equal(0, e.Offset);
    }

    [Fact]
    public void Every_truncation_of_an_object_is_read_or_refused()
    {
        var whole = SampleObject.Build();
        for (var length = 0; length < whole.Length; length++)
        {
            ReadOrRefuse(whole[..length]);
        }
    }

    [Fact]
    public void Every_mutation_of_an_object_is_read_or_refused()
    {
        var whole = SampleObject.Build();
        var chance = new Random(20260);
        var refused = 0;
        for (var i = 0; i < Mutants; i++)
        {
            var mutant = (byte[])whole.Clone();
            for (var n = chance.Next(1, 5); n > 0; n--)
            {
                var at = chance.Next(mutant.Length);
                mutant[at] = chance.Next(4) switch { 0 => 0xff, 1 => 0, 2 => (byte)(mutant[at] ^ (1 << chance.Next(8))), _ => (byte)chance.Next(256) };
            }

            refused += ReadOrRefuse(mutant) ? 0 : 1;
        }

        Assert.InRange(refused, Mutants / 100, Mutants - 1);
    }

    [Fact]
    public void Names_that_overlap_cannot_make_more_text_than_the_file_has()
    {
        var elf = new ElfWriter();
        var code = elf.Code("xdp", [.. Enumerable.Repeat(new Bpf.Asm.Instruction(0x95, 0, 0, 0, 0), 40)]);
        for (var i = 0; i < 40; i++)
        {
            elf.Function(new string('a', 4000 + i), code, i, 1);
        }

        // Names as long as they may be, each stored once, are fine; one that is longer than names may be is not.
        Assert.Equal(40, ObjectSpec.Read(elf.Build()).Programs.Count);
        elf.Function(new string('b', 5000), elf.Code("tc", new Bpf.Asm.Instruction(0x95, 0, 0, 0, 0)), 0, 1);
        Assert.Throws<ElfFormatException>(() => ObjectSpec.Read(elf.Build()));
    }

    private static bool ReadOrRefuse(byte[] bytes)
    {
        try
        {
            ObjectSpec.Read(bytes);
            return true;
        }
        catch (ElfFormatException)
        {
            return false;
        }
    }
}
