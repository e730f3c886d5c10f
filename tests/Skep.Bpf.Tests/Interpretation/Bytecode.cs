using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Interpretation;
using static Skep.Bpf.Asm.Register;

namespace Skep.Bpf.Tests.Interpretation;

/// <summary>Runs a few hand-written instructions and gives what they leave in R1.</summary>
internal static class Bytecode
{
    /// <summary>R1 is <paramref name="a"/> and R2 is <paramref name="b"/> before <paramref name="body"/>, R0 is 7; R1 afterwards is the result.</summary>
    public static ulong Compute(ulong a, ulong b, Action<Assembler> body)
    {
        using var twin = new TwinEngine();
        var result = new Global<ulong>("result");
        var program = new Assembler().Move(R0, 7).LoadImmediate64(R1, (long)a).LoadImmediate64(R2, (long)b);
        body(program);
        program.LoadMapValue(R9, result).Store(OpCodes.SizeDw, R9, 0, R1).Move(R0, 2).Exit();
        new BytecodeInterpreter(program.Build("compute", ProgramType.Xdp), twin).RunXdp(new byte[64]);
        return result.Value;
    }

    public static ulong Compute(ulong a, ulong b, Instruction instruction) => Compute(a, b, program => program.Emit(instruction));

    public static InterpreterFaultException Fault(Assembler program, int packetSize = 64, long stepLimit = 1_000_000)
    {
        using var twin = new TwinEngine();
        return Assert.Throws<InterpreterFaultException>(() =>
        {
            new BytecodeInterpreter(program.Build("faulty", ProgramType.Xdp), twin) { StepLimit = stepLimit }.RunXdp(new byte[packetSize]);
        });
    }
}
