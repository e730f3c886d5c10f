using Skep.Bpf.Verification;

namespace Skep.Bpf.Tests.Verification;

public class VerifierLogTests
{
    [Fact]
    public void The_classic_format_is_understood()
    {
        var log = VerifierLog.Parse(
            """
            func#0 @0
            0: R1=ctx() R10=fp0
            ; var data = context.Data; @ Edge.cs:11
            0: (61) r2 = *(u32 *)(r1 +0)          ; R1=ctx() R2_w=pkt(r=0)
            ; return *data; @ Edge.cs:12
            1: (71) r0 = *(u8 *)(r2 +0)
            invalid access to packet, off=0 size=1, R2(id=0,off=0,r=0)
            R2 offset is outside of the packet
            verification time 31 usec
            stack depth 0
            processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
            """);

        Assert.Equal(1, log.Slot);
        Assert.Equal("r0 = *(u8 *)(r2 +0)", log.Instruction);
        Assert.Equal("invalid access to packet, off=0 size=1, R2(id=0,off=0,r=0); R2 offset is outside of the packet", log.Complaint);
        Assert.Equal("R1=ctx() R2_w=pkt(r=0)", log.Registers);
        Assert.Null(log.Reason);
    }

    [Fact]
    public void What_follows_a_branch_in_its_line_is_told_from_it()
    {
        var atTarget = VerifierLog.Parse(
            """
            9: (bd) if r2 <= r1 goto pc+2 12: R0=scalar(umax=0xffff,var_off=(0x0; 0xffff)) R1=pkt_end() R2=pkt(r=0) R10=fp0
            12: (71) r0 = *(u8 *)(r2 -1)
            invalid access to packet, off=-1 size=1, R2(id=1,off=-1,r=0)
            """);
        var oneTooMany = VerifierLog.Parse(
            """
            20: (04) w7 += 1                      ; R7=0x22e06
            21: (ad) if r7 < r8 goto pc-5 BPF program is too large. Processed 1000001 insn
            processed 1000001 insns (limit 1000000) max_states_per_insn 4 total_states 20413 peak_states 20413 mark_read 0
            """);

        var endless = VerifierLog.Parse(
            """
            1: (56) if w0 != 0x7 goto pc-2 infinite loop detected at insn 0
            cur state: R0=scalar() R10=fp0
            old state: R0=scalar() R10=fp0
            """);

        Assert.Equal("infinite loop detected at insn 0", endless.Complaint);
        Assert.Equal("R0=scalar(umax=0xffff,var_off=(0x0; 0xffff)) R1=pkt_end() R2=pkt(r=0) R10=fp0", atTarget.Registers);
        Assert.Equal("if r7 < r8 goto pc-5", oneTooMany.Instruction);
        Assert.Equal("BPF program is too large. Processed 1000001 insn", oneTooMany.Complaint);
        Assert.Equal(21, oneTooMany.Slot);
    }

    [Fact]
    public void The_format_of_kernel_7_3_brings_its_own_reason_and_suggestion()
    {
        var log = VerifierLog.Parse(
            """
            0: R1=ctx() R10=fp0
            0: (95) exit
            R0 !read_ok

            Verification failed: Register Type Safety: Unreadable register

            Reason:
              R0 has never been initialized on this path, so the verifier cannot use it as an input.

            At:
              insn 0
                    | ^-- error: R0 is not readable
              Instruction context:
              >>> 0 | (95) exit

            Causal path:
              no retained diagnostic events on this path

            Suggestion:
              Initialize R0 on every path before this instruction.

            processed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
            """);

        Assert.Equal((0, "R0 !read_ok"), (log.Slot, log.Complaint));
        Assert.Equal("R1=ctx() R10=fp0", log.Registers);
        Assert.Equal("R0 has never been initialized on this path, so the verifier cannot use it as an input.", log.Reason);
        Assert.Equal("Initialize R0 on every path before this instruction.", log.Suggestion);
    }

    [Fact]
    public void States_of_kernel_5_15_are_understood()
    {
        var log = VerifierLog.Parse(
            """
            0: (b7) r0 = 0
            1: (15) if r0 == 0x0 goto pc+1
             R0_w=inv0 R1=ctx(id=0,off=0,imm=0) R10=fp0
            from 1 to 3: R0_w=inv0 R1=ctx(id=0,off=0,imm=0) R10=fp0
            3: (79) r0 = *(u64 *)(r0 +0)
            R0 invalid mem access 'inv'
            processed 3 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
            """);

        Assert.Equal((3, "R0 invalid mem access 'inv'"), (log.Slot, log.Complaint));
        Assert.Equal("R0_w=inv0 R1=ctx(id=0,off=0,imm=0) R10=fp0", log.Registers);
    }

    [Fact]
    public void A_complaint_before_the_walk_names_its_instruction() =>
        Assert.Equal((68, "unreachable insn 68"), VerifierLog.Parse(
            """
            unreachable insn 68
            processed 0 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
            """) is var log ? (log.Slot!.Value, log.Complaint) : default);

    [Theory]
    [InlineData("")]
    [InlineData("\n\n")]
    [InlineData("something entirely new")]
    [InlineData("processed 0 insns")]
    [InlineData("Verification failed: X\nReason:")]
    public void Whatever_the_kernel_says_there_is_a_complaint(string log) => Assert.NotEmpty(VerifierLog.Parse(log).Complaint);

    // Kernels word the same complaint in several ways; these take too long, or an older kernel, to provoke.
    [Theory]
    [InlineData("BPF program is too large. Processed 1000001 insn", "a million instructions")]
    [InlineData("The sequence of 8193 jumps is too complex.", "a million instructions")]
    [InlineData("back-edge from insn 5 to 3", "must end")]
    [InlineData("infinite loop detected at insn 3", "must end")]
    [InlineData("R0 invalid mem access 'map_value_or_null'", "may be null")]
    [InlineData("R3 invalid mem access 'inv'", "Only pointers")]
    [InlineData("invalid indirect read from stack R2 off -8+0 size 8", "Every byte of the stack")]
    [InlineData("invalid indirect read from stack off -8+0 size 8", "Every byte of the stack")]
    [InlineData("invalid write to stack R1 off=-8 size=16", "inside the local")]
    [InlineData("invalid write to stack R10 off=-520 size=8", "512 bytes")]
    [InlineData("combined stack size of 2 calls is 544. Too large", "512 bytes")]
    [InlineData("R2 min value is negative, either use unsigned index or do a if (index >=0) check.", "must lie inside")]
    [InlineData("R1 unbounded memory access, make sure to bounds check any such access", "must lie inside")]
    [InlineData("math between pkt pointer and register with unbounded min value is not allowed", "known upper and lower bound")]
    [InlineData("R0 pointer comparison prohibited", "cannot be computed with")]
    [InlineData("R1 subtraction from stack pointer prohibited", "cannot be computed with")]
    [InlineData("cannot call GPL-restricted function from non-GPL compatible program", "GPL only")]
    [InlineData("Unreleased reference id=2 alloc_insn=8", "must be released")]
    [InlineData("unknown func bpf_loop#181", "does not have the helper")]
    [InlineData("misaligned packet access off 0+1+0 size 4", "must be aligned")]
    public void A_known_complaint_has_its_rule(string complaint, string rule) =>
        Assert.Contains(rule, VerifierRule.For(complaint)?.Rule ?? "");

    [Fact]
    public void An_unknown_complaint_has_none() => Assert.Null(VerifierRule.For("something entirely new"));
}
