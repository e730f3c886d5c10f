using Skep.Bpf.Asm;
using Skep.Bpf.Asm.Notation;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using static Skep.Bpf.Asm.OpCodes;
using static Skep.Bpf.Asm.Register;

namespace Skep.Bpf.Tests.Asm;

public class NotationTests
{
    private static IEnumerable<Instruction> EveryForm() =>
        from code in Enumerable.Range(0, 256)
        from dst in (byte[])[0, 7, 10]
        from src in (byte[])[0, 1, 2, 3, 4, 5, 6]
        from offset in (short[])[0, 1, 8, 16, 32, -32768]
        from immediate in (int[])[0, 1, 16, 32, 64, -1, 0x40, 0x50, 0xa0, 0x41, 0x51, 0xa1, AtomicXchg, AtomicCmpXchg, AtomicLoadAcquire, AtomicStoreRelease, 1 << 16, int.MaxValue, int.MinValue]
        let i = new Instruction((byte)code, dst, src, offset, immediate)
        where InstructionEncoding.Problem(i) is null
        select i;

    [Fact]
    public void Every_instruction_that_the_disassembler_writes_is_read_back()
    {
        var opcodes = new HashSet<byte>();
        foreach (var i in EveryForm())
        {
            Instruction[] expected = i.IsWideLoad ? [i, new(0, 0, 0, 0, i.Src is 2 or 6 ? 0x7890 : i.Src == 0 ? -5 : 0)] : [i];
            var text = Disassembler.Format(i, expected[^1]);
            Assert.Equal(expected, AsmReader.Read($"({i.Code:x2}) {text}").Instructions);
            opcodes.Add(i.Code);
        }

        Assert.Equal(130, opcodes.Count); // 53 of arithmetic, 51 of jumps, 26 of memory
    }

    [Theory]
    [InlineData("r1 = 5", 0xb7, 1, 0, 0, 5)]
    [InlineData("w1 = -5", 0xb4, 1, 0, 0, -5)]
    [InlineData("w1 = 0xffffffff", 0xb4, 1, 0, 0, -1)]
    [InlineData("r3 s>>= w3", 0, 0, 0, 0, 0)]
    [InlineData("r1 = (s32)r2", 0xbf, 1, 2, 32, 0)]
    [InlineData("r0 = *(u32 *)(r1 + 0x8)", 0x61, 0, 1, 8, 0)]
    [InlineData("w0 = *(u16 *)(r1 - 2)", 0x69, 0, 1, -2, 0)]
    [InlineData("*(u32 *)(r10 - 4) = w2", 0x63, 10, 2, -4, 0)]
    [InlineData("if r1 s> r2 goto +3 <LBB0_2>", 0x6d, 1, 2, 3, 0)]
    [InlineData("if w1 & 0x80000000 goto +1", 0x46, 1, 0, 1, int.MinValue)]
    [InlineData("call bpf_map_lookup_elem", 0x85, 0, 0, 0, 1)]
    [InlineData("call unknown#700", 0x85, 0, 0, 0, 700)]
    [InlineData("w3 = xchg32_32(r10 - 4, w3)", 0xc3, 10, 3, -4, AtomicXchg)]
    [InlineData("r0 = cmpxchg_64(r10 - 8, r0, r3)", 0xdb, 10, 3, -8, AtomicCmpXchg)]
    [InlineData("w1 = atomic_fetch_add((u32 *)(r10 - 4), w1)", 0xc3, 10, 1, -4, 1)]
    [InlineData("mov32 %r0, 5", 0xb4, 0, 0, 0, 5)]
    [InlineData("ldxdw r1, [r2+8]", 0x79, 1, 2, 8, 0)]
    [InlineData("ldxsh %r1, [%r2]", 0x89, 1, 2, 0, 0)]
    [InlineData("stw [r10-4], 0xffffffff", 0x62, 10, 0, -4, -1)]
    [InlineData("jslt32 r0, r1, -2", 0xce, 0, 1, -2, 0)]
    [InlineData("movsx1632 r3, r4", 0xbc, 3, 4, 16, 0)]
    [InlineData("lock fetch xor32 [r10-4], r2", 0xc3, 10, 2, -4, 0xa1)]
    [InlineData("lock add [r10-8], r2", 0xdb, 10, 2, -8, 0)]
    [InlineData("smod64 r1, -3", 0x97, 1, 0, 1, -3)]
    [InlineData("call local +3", 0x85, 0, 1, 0, 3)]
    [InlineData("ldindh r2, 4", 0x48, 0, 2, 0, 4)]
    public void Other_people_s_forms_are_read(string text, byte code, byte dst, byte src, short offset, int immediate)
    {
        if (code == 0)
        {
            Assert.Throws<AsmException>(() => AsmReader.Read(text));
            return;
        }

        Assert.Equal(new Instruction(code, dst, src, offset, immediate), Assert.Single(AsmReader.Read(text).Instructions));
    }

    [Fact]
    public void A_listing_is_read_as_it_is()
    {
        using var table = new HashMap<uint, uint>(8, "table");
        var spec = new Assembler()
            .Line("/src/Edge.cs", 7, "table.Find(in key); // where it begins")
            .StoreImmediate(SizeW, R10, -4, 7).MoveRegister(R2, R10).Alu(Add, R2, -4).LoadMap(R1, table).Call(1)
            .Jump(Jeq, R0, 0, "end").LoadImmediate64(R1, 5).Label("end").CallFunction("zero").Exit()
            .Function("zero").Move(R0, 0).Exit()
            .Build("edge", ProgramType.Xdp);

        var read = AsmReader.Read(Disassembler.Disassemble(spec));

        Assert.Equal(spec.Instructions, read.Instructions);
        Assert.Equal([new AsmMapUse(3, "table", null)], read.Maps);
        Assert.Equal(spec.Functions, read.Functions);
        Assert.Same(table, Assert.Single(read.Build("edge", ProgramType.Xdp, name => name == "table" ? table : null).Maps));
    }

    [Fact]
    public void A_listing_of_llvm_is_read_as_it_is()
    {
        var read = AsmReader.Read(
            """
            0000000000000000 <pass>:
                   0:	b7 01 00 00 05 00 00 00	r1 = 0x5
                   1:	18 02 00 00 ff ff ff ff 00 00 00 00 01 00 00 00	r2 = 0x1ffffffff ll
                   3:	1d 21 01 00 00 00 00 00	if r1 == r2 goto +0x1 <LBB0_2>
                   4:	b4 00 00 00 02 00 00 00	w0 = 0x2

            0000000000000028 <LBB0_2>:
                   5:	95 00 00 00 00 00 00 00	exit
            """);
        Assert.Equal(6, read.Instructions.Count);
        Assert.Equal(new Instruction(0xb7, 1, 0, 0, 5), read.Instructions[0]);
        Assert.Equal(5, read.Labels["LBB0_2"]);
    }

    [Fact]
    public void Labels_functions_and_comments_are_resolved()
    {
        var read = AsmReader.Read(
            """
            # sums up
            main:
              r1 = 3        ; rounds
              r0 = 0        // sum
            again: r0 += r1
              r1 += -1 /* one
              less */
              if r1 != 0 goto again
              gotol out
            out:
              call half
              exit
            half:
              r0 >>= 1
              exit
            """);
        Assert.Equal([-3, 0], read.Instructions.Where(i => i.Code is 0x55 or 0x06).Select(i => i.Code == 0x55 ? i.Offset : i.Immediate));
        Assert.Equal([new FunctionEntry(0, "main"), new FunctionEntry(8, "half")], read.Functions);
        Assert.Equal(5, read.Lines.Single(l => l.Slot == 2).Line);
    }

    [Theory]
    [InlineData("r1 + 2", 1, 4, "expected an assignment")]
    [InlineData("\n  r1 = r11", 2, 8, "they are r0 to r10")]
    [InlineData("r1 = w2", 1, 6, "expected r2")]
    [InlineData("r1 += 4294967296", 1, 7, "expected a number of 32 bits")]
    [InlineData("r1 += 0xffffffff", 1, 7, "it is sign-extended")]
    [InlineData("r1 = *(u24 *)(r2 + 0)", 1, 8, "expected u8, u16, u32, u64, s8, s16 or s32")]
    [InlineData("r1 = *(u32 *)(r2 + 40000)", 1, 18, "expected an offset")]
    [InlineData("if r1 =< r2 goto +1", 1, 7, "expected a comparison")]
    [InlineData("goto nowhere", 1, 6, "there is no 'nowhere:'")]
    [InlineData("a:\nexit\na:", 3, 1, "there already, at slot 0")]
    [InlineData("r1 = be16 r2", 1, 11, "expected r1 on the right side")]
    [InlineData("call bpf_no_such_thing", 1, 6, "there is none with the name")]
    [InlineData("exit now", 1, 6, "expected the end of the line, found 'now'")]
    [InlineData("fly r1, r2", 1, 1, "expected an instruction, found 'fly'")]
    [InlineData("5: exit", 1, 1, "expected slot 0, found 5")]
    [InlineData("(b7) r1 = r2", 1, 1, "opcode b7")]
    [InlineData("", 1, 1, "the text has none")]
    [InlineData("lock *(u8 *)(r1 + 0) += r2", 1, 1, "u32 or u64")]
    public void Errors_say_where_and_what_was_expected(string text, int line, int column, string message)
    {
        var error = Assert.Single(Assert.Throws<AsmException>(() => AsmReader.Read(text)).Errors);
        Assert.Contains(message, error.Message);
        Assert.Equal((line, column), (error.Line, error.Column));
    }

    [Fact]
    public void All_errors_are_reported_together()
    {
        var errors = Assert.Throws<AsmException>(() => AsmReader.Read("r1 = \nexit\ngoto far\nr12 = 3", "probe.s"));
        Assert.Equal([1, 3, 4], errors.Errors.Select(e => e.Line));
        Assert.StartsWith("probe.s(1,", errors.Message);
    }

    [Fact]
    public void Damaged_text_gives_errors_and_nothing_else()
    {
        var random = new Random(7);
        const string Alphabet = "r0123456789w*(u)64+-=<>&|^s;/:[] goto if call lock,%xll\n\t";
        for (var round = 0; round < 20_000; round++)
        {
            var text = string.Create(random.Next(1, 40), random, (span, r) =>
            {
                foreach (ref var c in span)
                {
                    c = Alphabet[r.Next(Alphabet.Length)];
                }
            });
            try
            {
                Assert.NotEmpty(AsmReader.Read(text).Instructions);
            }
            catch (AsmException e)
            {
                Assert.NotEmpty(e.Errors);
            }
        }
    }
}
