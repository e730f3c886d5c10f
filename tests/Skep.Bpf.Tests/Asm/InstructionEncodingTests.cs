using Skep.Bpf.Asm;
using Skep.Bpf.Asm.Notation;
using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Tests.Asm;

public class InstructionEncodingTests
{
    [Theory]
    [InlineData("r1 += 5", true, false, true, true)]
    [InlineData("r1 += r2", true, true, true, false)]
    [InlineData("w1 s/= 5", true, false, false, true)]
    [InlineData("r1 = -r1", true, false, false, false)]
    [InlineData("r1 = be32 r1", true, false, false, false)]
    [InlineData("goto +0", false, false, true, false)]
    [InlineData("gotol +0", false, false, false, true)]
    [InlineData("may_goto +0", false, false, true, false)]
    [InlineData("if r1 > 5 goto +0", true, false, true, true)]
    [InlineData("if w1 > w2 goto +0", true, true, true, false)]
    [InlineData("call 5", false, false, false, true)]
    [InlineData("exit", false, false, false, false)]
    [InlineData("r1 = *(u8 *)(r2 + 0)", true, true, true, false)]
    [InlineData("*(u8 *)(r2 + 0) = 7", true, false, true, true)]
    [InlineData("*(u8 *)(r2 + 0) = r3", true, true, true, false)]
    public void Fields_that_are_not_used_must_be_zero(string text, bool dst, bool src, bool offset, bool immediate)
    {
        var i = AsmReader.Read(text).Instructions[0];
        Assert.Null(InstructionEncoding.Problem(i));
        Assert.Equal(dst, InstructionEncoding.Problem(i with { Dst = 9 }) is null);
        Assert.Equal(src, InstructionEncoding.Problem(i with { Src = 9 }) is null);
        Assert.Equal(immediate, InstructionEncoding.Problem(i with { Immediate = 77 }) is null);
        if (i.Class is not (ClassAlu or ClassAlu64))
        {
            Assert.Equal(offset, InstructionEncoding.Problem(i with { Offset = 77 }) is null);
        }
        else
        {
            Assert.NotNull(InstructionEncoding.Problem(i with { Offset = 77 }));
        }
    }

    [Theory]
    [InlineData("goto +1\nexit", 0, "outside the program")]
    [InlineData("goto -2\nexit", 0, "outside the program")]
    [InlineData("r0 = 0\ncall +9\nexit", 1, "outside the program")]
    [InlineData("if r1 == 0 goto +1\nr0 = 1 ll\nexit", 0, "middle of a 64-bit load")]
    [InlineData("r0 = 1", 0, "goes on outside the program")]
    public void Execution_stays_in_the_program(string text, int slot, string reason)
    {
        var problem = Assert.Single(InstructionEncoding.Problems(AsmReader.Read(text).Instructions));
        Assert.Equal(slot, problem.Slot);
        Assert.Contains(reason, problem.Reason);
    }

    [Fact]
    public void A_64_bit_load_has_two_slots()
    {
        var load = AsmReader.Read("r1 = 7 ll\nexit").Instructions;
        Assert.Empty(InstructionEncoding.Problems(load));
        Assert.Contains("second slot", InstructionEncoding.Problems([load[0]])[0].Reason);
        Assert.Contains("second slot", InstructionEncoding.Problems([load[0], load[1] with { Dst = 1 }, load[2]])[0].Reason);
        Assert.Contains("one instruction", InstructionEncoding.Problems([])[0].Reason);
    }

    [Theory]
    [InlineData("w1 += 5", ConformanceGroups.Base32)]
    [InlineData("r1 += 5", ConformanceGroups.Base64)]
    [InlineData("w1 *= 5", ConformanceGroups.DivMul32)]
    [InlineData("r1 s%= 5", ConformanceGroups.DivMul64)]
    [InlineData("lock *(u32 *)(r1 + 0) += r2", ConformanceGroups.Atomic32)]
    [InlineData("lock *(u64 *)(r1 + 0) += r2", ConformanceGroups.Atomic64)]
    [InlineData("r0 = *(u8 *)skb[4]", ConformanceGroups.Packet)]
    [InlineData("r1 = 4 ll", ConformanceGroups.Base64)]
    [InlineData("r1 = *(u64 *)(r2 + 0)", ConformanceGroups.Base64)]
    [InlineData("gotol +0", ConformanceGroups.Base32)]
    [InlineData("may_goto +0", ConformanceGroups.None)]
    public void Instructions_belong_to_conformance_groups(string text, ConformanceGroups group) =>
        Assert.Equal(group, ConformanceGroup.Of(AsmReader.Read(text).Instructions[0]));
}
