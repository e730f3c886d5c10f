using Skep.Bpf.Verification;

namespace Skep.Bpf.Tests.Verification;

public class RegisterWordsTests
{
    [Theory]
    [InlineData("ctx()", "the context")]
    [InlineData("pkt(off=14,r=34)", "a pointer into the packet, of which 34 bytes from its start are known to exist, at offset 14")]
    [InlineData("pkt_end()", "the end of the packet")]
    [InlineData("5", "the number 5")]
    [InlineData("0x10", "the number 16")]
    [InlineData("inv0", "the number 0")]
    [InlineData("scalar()", "any number")]
    [InlineData("scalar(smin=0,smax=umax=255,var_off=(0x0; 0xff))", "a number from 0 to 255")]
    [InlineData("scalar(smin=-1,smax=7)", "a signed number from -1 to 7")]
    [InlineData("map_value_or_null(id=1,map=values,ks=8,vs=8)", "a pointer into a value of map 'values', which has 8 bytes, or null")]
    [InlineData("fp-8", "the address 8 bytes below the end of this function's stack")]
    [InlineData("trusted_ptr_sk_buff()", "a pointer to the kernel's struct sk_buff")]
    [InlineData("something_new(x=1)", "something_new(x=1)")]
    public void Values_are_said_in_words(string value, string words) => Assert.Equal(words, RegisterWords.Words(value));

    [Fact]
    public void Only_the_registers_of_the_instruction_are_named() => Assert.Equal(
        "R2 is the context",
        RegisterWords.Describe("R1=scalar() R2_w=ctx() R10=fp0", "r0 = *(u8 *)(r2 +0)", "invalid access"));

    [Fact]
    public void The_newest_format_alone_still_gives_place_and_rule()
    {
        var log = VerifierLog.Parse(
            """
            Verification failed: Memory Safety: Out-of-bounds packet access

            Reason:
              The packet pointer R2 has no proven bytes here.

            At:
              insn 1
                    | ^-- error: invalid access to packet
              Instruction context:
                  0 | (61) r2 = *(u32 *)(r1 +0)
              >>> 1 | (71) r0 = *(u8 *)(r2 +0)

            Suggestion:
              Compare against data_end first.

            processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
            """);

        Assert.Equal((1, "r0 = *(u8 *)(r2 +0)", "invalid access to packet"), (log.Slot, log.Instruction, log.Complaint));
        Assert.Equal("Memory Safety: Out-of-bounds packet access", log.Headline);
        Assert.Equal("SKEP1001", VerifierRule.For(log.Complaint)?.Id);
    }
}
