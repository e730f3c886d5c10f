using System.Reflection.Emit;
using Skep.Bpf.Compiler;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Tests.Compiler;

/// <summary>IL that no C# compiler writes ends in a named error, and soon; <c>Skep.Fuzz il</c> found these.</summary>
public class DamagedIlTests
{
    [Fact]
    public void A_loop_that_leaves_something_on_the_stack_with_every_turn_is_refused_at_its_second()
    {
        // Each turn is another version of the loop, whose counter chooses an object: 4096 of them with a stack of as many entries never ended.
        var target = new CompileTarget
        {
            BodyOf = static m => m.Name == nameof(Turns.Run) ? [.. m.GetMethodBody()!.GetILAsByteArray()!.Select(static code => code == OpCodes.Xor.Value ? (byte)OpCodes.Nop.Value : code)] : null,
        };
        var e = Assert.Throws<CompileException>(() => ProgramCompiler.Compile(new Turns(), target));
        Assert.Equal(Rule.Internal, e.Id);
        Assert.Contains("different stacks", e.Message, StringComparison.Ordinal);
    }

    private sealed class Step(uint by)
    {
        public uint Apply(uint x) => x + by;
    }

    private sealed class Turns : XdpProgram
    {
        private readonly Step[] _steps = [new(3), new(5)];

        public override XdpAction Run(ref XdpContext context)
        {
            var x = context.RxQueue;
            for (var i = 0; i < 1_000_000; i++)
            {
                x ^= _steps[i & 1].Apply(7);
            }

            return (XdpAction)x;
        }
    }
}
