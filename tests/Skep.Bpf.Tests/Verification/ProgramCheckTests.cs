using Skep.Bpf.Asm;
using Skep.Bpf.Asm.Notation;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Bpf.Verification;
using Skep.Corpus;

namespace Skep.Bpf.Tests.Verification;

/// <summary>Our own verifier finds what the kernel's finds, under the same rule, and has nothing against sound programs.</summary>
public class ProgramCheckTests
{
    [Fact]
    public void What_the_kernel_rejects_is_rejected_for_the_same_rule()
    {
        List<string> wrong = [];
        var count = 0;
        foreach (var (title, rule, spec) in RejectedCorpus.Read().Where(p => !p.Title.StartsWith("kernel only", StringComparison.Ordinal)))
        {
            count++;
            var check = ProgramCheck.Run(spec);
            if (check.Failure?.RuleId != rule)
            {
                wrong.Add($"{title}: {check.Failure?.RuleId ?? "accepted"} instead of {rule}: {check.Failure?.Detail}");
            }
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
        Assert.True(count > 60, $"only {count} programs");
    }

    // The kernel verifies such a function by itself, for any arguments: so is it here, once however often it is called.
    [Fact]
    public void A_global_function_is_walked_once_for_whatever_it_may_be_given()
    {
        const string Calls = "r1 = 5\ncall half\nr6 = r0\nr1 = r6\ncall half\nr0 += r6\nr1 = r0\ncall half\nexit\nhalf:\n";
        var once = Global(Calls + "r0 = r1\nif r1 > 7 goto out\nr2 = r10\nr2 += -8\nr2 += r1\n*(u8 *)(r2 + 0) = 1\nout:\nexit", FunctionParameter.Number("value", 8, false));
        Assert.True(once.Failure is null, once.Failure?.ToString());
        // Nine instructions, the function's seven, and its exit once more for the other way there.
        Assert.Equal(9 + 7 + 1, once.Walked);

        // 5 is in bounds, but any number is not; and what is given may be null.
        Assert.NotNull(Global(Calls + "r2 = r10\nr2 += -8\nr2 += r1\n*(u8 *)(r2 + 0) = 1\nr0 = 0\nexit", FunctionParameter.Number("value", 8, false)).Failure);
        const string OfMemory = "*(u64 *)(r10 - 8) = 1\nr1 = r10\nr1 += -8\ncall half\nexit\nhalf:\n";
        Assert.NotNull(Global(OfMemory + "r0 = *(u64 *)(r1 + 0)\nexit", FunctionParameter.Memory("value", "pair", 8)).Failure);
        Assert.Null(Global(OfMemory + "r0 = 0\nif r1 == 0 goto out\nr0 = *(u64 *)(r1 + 0)\nout:\nexit", FunctionParameter.Memory("value", "pair", 8)).Failure);
    }

    private static ProgramCheck Global(string text, FunctionParameter parameter)
    {
        var spec = AsmReader.Read(text, "probe.s").Build("probe", ProgramType.Xdp, static _ => null);
        return ProgramCheck.Run(new ProgramSpec
        {
            Name = spec.Name,
            Type = spec.Type,
            Instructions = spec.Instructions,
            Functions = [.. spec.Functions.Select(f => f.Slot == 0 ? f : f with { Parameters = [parameter], Result = FunctionParameter.Number("", 8, false), IsGlobal = true })],
        });
    }

    private static ProgramCheck Check(string text, ProgramType type = ProgramType.Xdp) =>
        ProgramCheck.Run(AsmReader.Read(text, "probe.s").Build("probe", type, name => name == "values" ? new HashMap<ulong, ulong>(4, "values") : null));

    [Theory]
    [InlineData("r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr4 = r2\nr4 += 14\nif r4 > r3 goto out\nr0 = *(u16 *)(r2 + 12)\nout:\nr0 = 2\nexit")]
    [InlineData("r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nif r2 >= r3 goto out\nr0 = *(u8 *)(r2 + 0)\nout:\nr0 = 2\nexit")]
    [InlineData("r6 = 0\nr0 = 0\nagain:\nr0 += r6\nr6 += 1\nif r6 != 100 goto again\nexit")]
    [InlineData("r2 = *(u32 *)(r1 + 12)\nr4 = r2\nif r2 > 7 goto out\nr3 = r10\nr3 += -8\nr3 += r4\n*(u8 *)(r3 + 0) = 1\nout:\nr0 = 2\nexit")]
    [InlineData("r2 = *(u32 *)(r1 + 12)\n*(u64 *)(r10 - 16) = r2\nif r2 > 7 goto out\nr4 = *(u64 *)(r10 - 16)\nr3 = r10\nr3 += -8\nr3 += r4\n*(u8 *)(r3 + 0) = 1\nout:\nr0 = 2\nexit")]
    [InlineData("*(u64 *)(r10 - 8) = 1\nr1 = map[values]\nr2 = r10\nr2 += -8\ncall 1\nif r0 == 0 goto out\nlock *(u64 *)(r0 + 0) += r0\nout:\nr0 = 2\nexit")]
    [InlineData("r1 = 5\ncall twice\nexit\ntwice:\nr0 = r1\nr0 += r1\nexit")]
    public void Sound_programs_are_accepted(string text)
    {
        var check = Check(text);
        Assert.True(check.Failure is null, check.Failure?.ToString());
        Assert.True(check.IsComplete);
    }

    [Theory]
    [InlineData("r7 += r0", null)]
    [InlineData("r7 = *(u64 *)(r10 - 72)\nr7 += r0\n*(u64 *)(r10 - 72) = r7", null)]
    [InlineData("r0 += 1", "SKEP1006")]
    public void A_loop_whose_rounds_the_kernel_counts_is_walked_until_a_round_shows_nothing_new(string round, string? rule)
    {
        // The byte is below 64 in each round; what is summed up has other bounds in each.
        var check = Check($"""
            r6 = r1
            r7 = 0
            *(u64 *)(r10 - 72) = r7
            again:
            may_goto out
            r0 = *(u32 *)(r6 + 12)
            r0 &= 63
            {round}
            r1 = r10
            r1 += -64
            r1 += r0
            *(u8 *)(r1 + 0) = r0
            goto again
            out:
            r0 = r7
            r0 &= 1
            exit
            """);
        Assert.Equal(rule, check.Failure?.RuleId);
        Assert.True(check.IsComplete);
        Assert.InRange(check.Walked, 1, 200);
    }

    [Fact]
    public void A_record_is_released_also_when_a_helper_wrote_somewhere_on_the_stack_where_it_is_kept()
    {
        using var ring = new RingBuffer<ulong>(4096, "ring");
        const string text = """
            r6 = r1
            r1 = map[ring]
            r2 = 8
            r3 = 0
            call 131
            if r0 == 0 goto out
            *(u64 *)(r10 - 8) = r0
            r1 = r6
            r2 = r10
            r2 += -32
            r3 = 16
            r4 = 0
            call 67
            r1 = *(u64 *)(r10 - 8)
            r2 = 0
            call 132
            out:
            r0 = 0
            exit
            """;
        var check = ProgramCheck.Run(AsmReader.Read(text).Build("keeper", ProgramType.Tracepoint, _ => ring));
        Assert.True(check.Failure is null, check.Failure?.ToString());
    }

    [Fact]
    public void Fields_that_are_not_used_count_only_where_the_code_is_reached()
    {
        // The kernel looks at them while it walks; the offset of an exit it never looks at.
        Instruction[] code =
        [
            new(0xb7, 0, 0, 0, 2),
            new(0x15, 0, 0, 1, 2), // if r0 == 2 goto +1
            new(0x05, 3, 0, 0, 0), // goto +0 with a register
            new(0x95, 0, 0, 5, 0),
        ];
        Assert.Null(ProgramCheck.Run(new ProgramSpec { Name = "dead", Type = ProgramType.Xdp, Instructions = code }).Failure);
        code[1] = new(0x15, 0, 0, 1, 3);
        Assert.Equal("SKEP1024", ProgramCheck.Run(new ProgramSpec { Name = "alive", Type = ProgramType.Xdp, Instructions = code }).Failure?.RuleId);
        code[2] = new(0x8f, 0, 0, 0, 0); // no such code anywhere
        code[1] = new(0x15, 0, 0, 1, 2);
        Assert.Equal("SKEP1024", ProgramCheck.Run(new ProgramSpec { Name = "none", Type = ProgramType.Xdp, Instructions = code }).Failure?.RuleId);
    }

    [Fact]
    public void A_loop_over_computed_numbers_is_left_to_the_kernel()
    {
        // Kernels that follow sums in 32 bits see that the second round is the last.
        var text = "r0 = *(u32 *)(r1 + 16)\nagain:\nr2 = r0\nw2 += 3\nif r2 > 3 goto out\nw0 += 8\ngoto again\nout:\nr0 = 2\nexit";
        Assert.Null(Check(text).Failure);
    }

    [Fact]
    public void Nothing_is_said_of_a_way_that_only_the_kernel_can_judge()
    {
        // The constant of the frozen map is 0: what is wrong behind the jump is never reached.
        var constants = new UntypedMap(MapKind.Array, 4, 8, 1, MapFlags.ReadOnlyForPrograms, "constants");
        var spec = AsmReader.Read("r2 = map[constants][0]+0\nr2 = *(u64 *)(r2 + 0)\nif r2 == 0 goto out\nr0 = *(u8 *)(r2 + 0)\nout:\nr0 = 2\nexit", "probe.s")
            .Build("probe", ProgramType.Xdp, name => name == "constants" ? constants : null);
        Assert.Null(ProgramCheck.Run(spec).Failure);
    }

    [Fact]
    public void A_failure_reads_like_one_of_a_compiler()
    {
        var failure = Check("r2 = *(u32 *)(r1 + 0)\n  r0 = *(u8 *)(r2 + 12)\nexit").Failure!;
        Assert.Equal(
            """
            probe.s(2,3): error SKEP1001: 1 bytes at offset 12 are accessed, and no comparison with the end of the packet shows that they exist
              source: r0 = *(u8 *)(r2 + 12)
              at:     1: r0 = *(u8 *)(r2 +12)
              known:  R2 is a pointer into the packet, of which 0 bytes from its start are known to exist
            """,
            string.Join('\n', failure.ToString().Split('\n')[..4]));
        Assert.Contains("DataEnd", failure.Rule);
        Assert.Contains("mend:", failure.ToString());
    }

    [Fact]
    public void A_program_with_too_many_paths_is_not_judged()
    {
        var text = string.Join('\n', Enumerable.Range(0, 14).Select(n => $"call 7\nif r0 == {n} goto +1\nr6 += {1 << n}")).Insert(0, "r6 = 0\nagain:\n") + "\nif r6 != 1 goto again\nr0 = 2\nexit";
        Assert.Null(Check(text).Failure);
    }
}
