using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using static Skep.Bpf.Asm.OpCodes;
using static Skep.Bpf.Asm.Register;

namespace Skep.Bpf.Tests.Asm;

public class AssemblerTests
{
    [Fact]
    public void Labels_become_distances_from_the_next_slot()
    {
        var code = new Assembler()
            .Label("start")
            .Jump(Jgt, R1, 5, "end")
            .LoadImmediate64(R0, 1L << 40)
            .Jump("start")
            .Label("end")
            .Exit()
            .Instructions();

        Assert.Equal(3, code[0].Offset);
        Assert.Equal(-4, code[3].Offset);
    }

    [Fact]
    public void A_missing_label_is_named() =>
        Assert.Contains("'nowhere'", Assert.Throws<InvalidOperationException>(() => new Assembler().Jump("nowhere").Instructions()).Message);

    [Fact]
    public void A_program_is_listed_with_functions_lines_maps_and_helpers()
    {
        using var counter = new Global<ulong>("counter");
        using var table = new HashMap<uint, uint>(8, "table");
        var spec = new Assembler()
            .Line("/src/Edge.cs", 7, "  counter.Value++;")
            .LoadMapValue(R1, counter, 4)
            .Line("/src/Edge.cs", 8, "table.Find(in key);")
            .LoadMap(R1, table)
            .Call(1)
            .Exit()
            .Build("edge", ProgramType.Xdp);

        Assert.Equal(
            """
            edge:
            ; counter.Value++; @ Edge.cs:7
               0: (18) r1 = map[counter][0]+4
            ; table.Find(in key); @ Edge.cs:8
               2: (18) r1 = map[table]
               4: (85) call bpf_map_lookup_elem#1
               5: (95) exit

            """,
            Disassembler.Disassemble(spec));
    }

    [Theory]
    [InlineData(0, "bpf_unspec")]
    [InlineData(1, "bpf_map_lookup_elem")]
    [InlineData(130, "bpf_ringbuf_output")]
    [InlineData(211, "bpf_cgrp_storage_delete")]
    [InlineData(212, "unknown")]
    [InlineData(-1, "unknown")]
    public void Helpers_have_their_names(int number, string name) => Assert.Equal(name, HelperNames.Of(number));

    [Fact]
    public void Every_possible_instruction_has_some_text()
    {
        for (var code = 0; code < 256; code++)
        {
            foreach (var (source, offset, immediate) in ((byte, short, int)[])[(0, 0, 0), (1, 1, 1), (2, -1, -1), (10, 32, 0xe1)])
            {
                Assert.NotEmpty(Disassembler.Format(new Instruction((byte)code, 1, source, offset, immediate)));
            }
        }
    }
}
