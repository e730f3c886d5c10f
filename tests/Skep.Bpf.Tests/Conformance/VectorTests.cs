using Skep.Bpf.Asm;
using Skep.Bpf.Asm.Notation;
using Skep.Bpf.Twin.Conformance;

namespace Skep.Bpf.Tests.Conformance;

public class VectorTests
{
    private static VectorOutcome Run(string text) => new InterpreterVectorEngine().Run(VectorFile.Parse(text, "sample.data"));

    [Fact]
    public void Assembler_memory_and_result_make_a_vector()
    {
        var outcome = Run("# comment\n-- asm\nldxh %r0, [%r1+1] # two bytes\nadd %r0, %r2\nexit\n-- mem\n00 01\n02 03\n-- result\n0x205\n");
        Assert.Equal((VectorStatus.Passed, 0x205UL, "sample"), (outcome.Status, outcome.Actual!.Value, outcome.Name));
    }

    [Fact]
    public void Without_memory_both_arguments_are_zero() =>
        Assert.Equal(VectorStatus.Passed, Run("-- asm\nmov r0, r1\nor r0, r2\nexit\n-- result\n0").Status);

    [Fact]
    public void All_64_bits_of_the_result_count()
    {
        var outcome = Run("-- asm\nlddw r0, 0x100000007\nexit\n-- result\n0x7");
        Assert.Equal((VectorStatus.Failed, 0x100000007UL), (outcome.Status, outcome.Actual!.Value));
    }

    [Theory]
    [InlineData("b7 00 00 00 2a 00 00 00\n95 00 00 00 00 00 00 00")]
    [InlineData("0x0000002a000000b7 0x95")]
    public void Instructions_may_be_raw(string raw) => Assert.Equal(VectorStatus.Passed, Run($"-- raw\n{raw}\n-- result\n42").Status);

    [Fact]
    public void What_must_be_refused_passes_when_it_is()
    {
        var outcome = Run("-- raw\n07 00 01 00 01 00 00 00\n95 00 00 00 00 00 00 00\n-- error\n");
        Assert.Equal(VectorStatus.Passed, outcome.Status);
        Assert.Contains("does not use its offset", outcome.Reason);
        Assert.Equal(VectorStatus.Failed, Run("-- asm\nmov r0, 1\nexit\n-- error\n").Status);
        Assert.Equal(VectorStatus.Refused, Run("-- asm\nldxb r0, [r1]\nexit\n-- result\n1").Status);
    }

    [Fact]
    public void A_helper_may_be_called_by_the_number_in_a_register() =>
        Assert.Equal(VectorStatus.Passed, Run("-- asm\nmov r2, 8\ncall %r2\nexit\n-- result\n0").Status);

    [Fact]
    public void A_vector_says_which_groups_it_needs() => Assert.Equal(
        ConformanceGroups.Base32 | ConformanceGroups.Base64 | ConformanceGroups.DivMul64,
        VectorFile.Parse("-- asm\nmov r0, 1\nmul r0, 2\nexit\n-- result\n2", "groups").Groups);

    [Theory]
    [InlineData("-- asm\nexit\n", "neither a section '-- result'")]
    [InlineData("-- result\n1", "neither a section '-- asm'")]
    [InlineData("-- asm\nexit\n-- results\n1", "sample.data(3): there is no section '-- results'")]
    [InlineData("-- asm\nexit\n-- asm\nexit\n-- result\n1", "is there twice")]
    [InlineData("-- asm\nexit\n-- mem\n00 xy\n-- result\n1", "sample.data(4): 'xy' is no byte")]
    [InlineData("-- asm\nexit\n-- result\nmany", "'many' is no number")]
    [InlineData("-- asm\nexit\n-- result\n", "has one number")]
    [InlineData("-- raw\n95 00\n-- result\n1", "2 bytes are no whole number of instructions")]
    public void Damaged_files_are_refused(string text, string problem) =>
        Assert.Contains(problem, Assert.Throws<VectorFormatException>(() => VectorFile.Parse(text, "sample.data")).Message);

    [Fact]
    public void Errors_in_the_assembler_text_name_the_line_of_the_file() =>
        Assert.Equal(4, Assert.Single(Assert.Throws<AsmException>(() => VectorFile.Parse("-- mem\n00\n-- asm\nfly r1\nexit\n-- result\n1", "x")).Errors).Line);
}
