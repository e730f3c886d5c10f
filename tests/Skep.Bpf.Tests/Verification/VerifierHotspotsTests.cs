using Skep.Bpf.Asm;
using Skep.Bpf.Programs;
using Skep.Bpf.Verification;
using static Skep.Bpf.Asm.Register;

namespace Skep.Bpf.Tests.Verification;

public class VerifierHotspotsTests
{
    [Fact]
    public void Lines_are_ranked_by_the_instructions_walked_through()
    {
        var spec = new Assembler()
            .Line("Loop.cs", 1, "var i = 0;").Move(R0, 0)
            .Line("Loop.cs", 2, "i += 2;").Alu(OpCodes.Add, R0, 1).Alu(OpCodes.Add, R0, 1)
            .Line("Loop.cs", 3, "return i;").Exit()
            .Build("loop", ProgramType.Xdp);
        const string walk = """
            0: R1=ctx() R10=fp0
            0: (b7) r0 = 0                        ; R0_w=0
            1: (07) r0 += 1                       ; R0_w=1
            2: (07) r0 += 1                       ; R0_w=2
            from 2 to 1: R0=2
            1: (07) r0 += 1                       ; R0_w=3
            2: (07) r0 += 1                       ; R0_w=4
            3: (95) exit
            99: (95) exit
            """;

        var hotspots = VerifierHotspots.Count(spec, walk);

        Assert.Equal([2, 1, 3], hotspots.Select(h => h.Line.Line));
        Assert.Equal(4.0 / 6, hotspots[0].Share);
        Assert.Empty(VerifierHotspots.Count(spec, ""));
    }
}
