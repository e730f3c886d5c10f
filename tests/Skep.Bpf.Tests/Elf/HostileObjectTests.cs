using System.Buffers.Binary;
using Skep.Bpf.Btf;
using Skep.Bpf.Elf;
using Skep.Bpf.Elf.Linking;
using Skep.Fuzz;

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

    [Fact]
    public void Source_lines_whose_texts_are_nowhere_are_lines_without_text()
    {
        var file = FileCorpus.Objects[1].ToArray();
        var ext = ElfFile.Parse(file).Find(".BTF.ext")!;

        // Header of 32 bytes, 20 of functions, then: size of a record, section, number of records, and the first: slot, file, text, position.
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(ext.Offset + 32 + 20 + 12 + 4), 0xfffffff0);
        var line = ObjectSpec.Read(file, new ObjectOptions { KernelTypes = new KernelTypes(BtfFile.Parse(FileCorpus.KernelTypes()), []) }).Program("main").Lines[0];
        Assert.Equal(("", "return 0;", 1), (line.File, line.Text, line.Line));
    }

    [Fact]
    public void Zeros_that_are_not_in_the_file_take_no_memory_when_linked()
    {
        var elf = new ElfWriter();
        elf.Function("pass", elf.Code("xdp", new Bpf.Asm.Instruction(0xb7, 0, 0, 0, 2), new Bpf.Asm.Instruction(0x95, 0, 0, 0, 0)), 0, 2);
        var file = elf.Build(zerosOf: ".bss", size: 1 << 30);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var linked = ObjectLinker.Link([("zeros.o", file)]);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        Assert.Equal(1 << 30, ElfFile.Parse(linked).Find(".bss")!.Size);
    }

    [Fact]
    public void An_object_for_the_other_byte_order_is_told_how_to_be_compiled()
    {
        var file = SampleObject.Build();
        file[5] = 2;
        Assert.Contains("-target bpfel", Assert.Throws<ElfFormatException>(() => ObjectSpec.Read(file)).Message, StringComparison.Ordinal);
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
