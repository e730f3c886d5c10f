using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Bpf.Verification;
using static Skep.Bpf.Asm.OpCodes;
using static Skep.Bpf.Asm.Register;

namespace Skep.KernelTests.Programs;

public class LoadTests
{
    private static readonly byte[] s_packet = [.. Enumerable.Repeat((byte)0x5a, 64)];

    private static ProgramSpec Returning(int verdict) => new Assembler().Move(R0, verdict).Exit().Build("verdict", ProgramType.Xdp);

    [KernelFact]
    public void A_loaded_program_tells_its_name_id_tag_and_sizes()
    {
        using var program = ProgramLoader.Load(Returning(2));
        using var same = ProgramLoader.Load(Returning(2));

        Assert.NotEqual(0u, program.Id);
        Assert.NotEqual(program.Id, same.Id);
        Assert.Equal("verdict", program.Name);
        Assert.Equal(ProgramType.Xdp, program.Type);
        Assert.Equal(16, program.Tag.Length);
        Assert.Equal(program.Tag, same.Tag);
        Assert.Equal(2, program.VerifiedInstructions);
        Assert.True(program.TranslatedSize >= 16);
    }

    [KernelFact]
    public void Names_the_kernel_would_refuse_are_made_to_fit()
    {
        using var program = ProgramLoader.Load(new Assembler().Move(R0, 2).Exit().Build("Édge program`1+Inner", ProgramType.Xdp));

        Assert.Equal("_dge_program_1_", program.Name);
    }

    [KernelFact]
    public void A_test_run_gives_verdict_and_packet()
    {
        using var program = ProgramLoader.Load(Returning(1));

        var result = program.TestRun(s_packet, new TestRunOptions { Repeat = 100 });

        Assert.Equal(1, result.ReturnValue);
        Assert.Equal(s_packet, result.Output);
    }

    [KernelFact]
    public void A_test_run_gives_a_packet_back_that_grew_by_most_of_a_page()
    {
        // bpf_xdp_adjust_tail
        using var program = ProgramLoader.Load(new Assembler().Move(R2, 3000).Call(65).Move(R0, 2).Exit().Build("grow", ProgramType.Xdp));

        Assert.Equal(s_packet.Length + 3000, program.TestRun(s_packet).Output.Length);
    }

    [KernelFact]
    public void A_test_run_shows_the_interface_the_packet_came_in_by()
    {
        using var program = ProgramLoader.Load(new Assembler().Load(SizeW, R0, R1, 12).Exit().Build("ifindex", ProgramType.Xdp));

        Assert.Equal(1, program.TestRun(s_packet, new TestRunOptions { IngressInterface = 1 }).ReturnValue);
    }

    [KernelFact]
    public void A_test_run_of_a_TC_program_shows_its_mark()
    {
        using var program = ProgramLoader.Load(new Assembler().Load(SizeW, R0, R1, 8).Exit().Build("mark", ProgramType.SchedCls));

        Assert.Equal(77, program.TestRun(s_packet, new TestRunOptions { Mark = 77 }).ReturnValue);
    }

    [KernelFact]
    public void Programs_and_process_share_a_global()
    {
        using var counter = new Global<ulong>("counter");
        var spec = new Assembler()
            .LoadMapValue(R1, counter)
            .Move(R2, 1)
            .Atomic(SizeDw, AtomicAdd, R1, 0, R2)
            .Move(R0, 2)
            .Exit()
            .Build("count", ProgramType.Xdp);
        using var program = ProgramLoader.Load(spec);

        counter.Value = 40;
        program.TestRun(s_packet, new TestRunOptions { Repeat = 2 });

        Assert.Equal(42ul, counter.Value);
    }

    [KernelFact]
    public void A_rejection_names_file_line_rule_and_state()
    {
        var spec = new Assembler()
            .Line("Edge.cs", 11, "var data = context.Data;")
            .Load(SizeW, R2, R1, 0)
            .Line("Edge.cs", 12, "return *data;")
            .Load(SizeB, R0, R2, 0)
            .Line("Edge.cs", 13, "}")
            .Exit()
            .Build("unchecked", ProgramType.Xdp);

        var rejection = Assert.Throws<VerifierException>(() => ProgramLoader.Load(spec));

        Assert.Equal(("Edge.cs", 12), (rejection.Position!.Value.File, rejection.Position.Value.Line));
        Assert.StartsWith("Edge.cs(12,1): error SKEP1001: the verifier rejects program 'unchecked'", rejection.Message);
        Assert.Contains("invalid access to packet", rejection.Complaint);
        Assert.Contains("DataEnd", rejection.Rule);
        Assert.Contains("R2", rejection.Registers);
        Assert.Contains("return *data;", rejection.Message);
        Assert.Contains("processed", rejection.Log);
    }

    [KernelFact]
    public void A_long_log_is_kept_whole()
    {
        var assembler = new Assembler().Move(R0, 0);
        for (var i = 0; i < 30_000; i++)
        {
            assembler.Line("Long.cs", i + 1, "somewhere = far + along;").Alu(Add, R0, 1);
        }

        var spec = assembler.MoveRegister(R0, R9).Exit().Build("long", ProgramType.Xdp);
        var rejection = Assert.Throws<VerifierException>(() => ProgramLoader.Load(spec));

        Assert.Equal(30_001, rejection.Slot);
        Assert.Equal(30_000, rejection.Position!.Value.Line);
        Assert.Contains("R9 !read_ok", rejection.Complaint);
        Assert.True(rejection.Log.Length > 1 << 20);
    }

    [KernelFact]
    public void Statistics_count_runs()
    {
        using var counting = new RunStatisticsSwitch();
        using var program = ProgramLoader.Load(Returning(2));

        program.TestRun(s_packet, new TestRunOptions { Repeat = 10 });

        Assert.Equal(10ul, program.Statistics.Runs);
    }

    [KernelFact]
    public void Functions_are_called_and_verified()
    {
        var spec = new Assembler()
            .CallFunction("answer")
            .Exit()
            .Function("answer")
            .Move(R0, 2)
            .Exit()
            .Build("caller", ProgramType.Xdp);
        using var program = ProgramLoader.Load(spec);

        Assert.Equal(2, program.TestRun(s_packet).ReturnValue);
    }
}
