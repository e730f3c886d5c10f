using Skep.Bpf.Features;
using Skep.Bpf.Twin.Conformance;
using Skep.Corpus;

namespace Skep.KernelTests.Asm;

/// <summary>Every instruction does in the kernel what its table says, and so what the interpreter does.</summary>
public class IsaTests
{
    public static TheoryData<string> Tables => [.. IsaCorpus.Files];

    [KernelTheory]
    [MemberData(nameof(Tables))]
    public void Every_row_of_the_table_holds(string table)
    {
        var minimum = table switch
        {
            "ordered" => new Version(6, 15),
            "jumps" => new Version(6, 9), // may_goto
            _ => new Version(6, 6),
        };
        Kernel.Require(FeatureProbe.RunningKernel >= minimum, $"table {table} needs kernel {minimum}");

        using var engine = new KernelVectorEngine();
        var wrong = IsaCorpus.Read(table).Select(engine.Run).Where(o => o.Status != VectorStatus.Passed).ToArray();
        Assert.True(wrong.Length == 0, string.Join('\n', wrong.Take(20)));
    }

    [KernelFact]
    public void Shifts_beyond_the_width_are_masked_and_what_the_kernel_has_not_is_refused()
    {
        using var engine = new KernelVectorEngine();
        Assert.Equal(VectorStatus.Passed, engine.Run(VectorFile.Parse("-- asm\nmov r0, 3\nlsh32 r0, 33\nexit\n-- result\n6", "shift")).Status);
        var refused = engine.Run(VectorFile.Parse("-- asm\nmov r1, 5\ncall r1\nexit\n-- result\n1", "callx"));
        Assert.Equal(VectorStatus.Refused, refused.Status);
        Assert.Contains("8d", refused.Reason);
    }

    [KernelFact]
    public void A_vector_gets_its_memory_and_its_length()
    {
        using var engine = new KernelVectorEngine();
        var outcome = engine.Run(VectorFile.Parse("-- asm\nldxw r0, [r1+2]\nlsh r2, 32\nor r0, r2\nexit\n-- mem\n00 01 02 03 04 05\n-- result\n0x605040302", "memory"));
        Assert.Equal(VectorStatus.Passed, outcome.Status);
    }
}
