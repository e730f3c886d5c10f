using Skep.Bpf.Asm;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Interpretation;

namespace Skep.KernelTests.Compiler;

/// <summary>
/// Runs the same program object shape on the CLR, in the bytecode interpreter and in the kernel, compiled for each instruction set level that can express it,
/// and compares verdicts, packets and map contents.
/// </summary>
internal static class Differential
{
    // More than the verifier walks: what it walks once, a callback of a loop, may run often.
    private const long MostSteps = 10_000_000;

    /// <param name="leastLevel">Lowest instruction set whose code the verifier accepts; what stands in the way below it is said where this is not 1.</param>
    public static void Check<T>(
        Func<T> create, IEnumerable<byte[]> packets, Func<T, string>? contents = null, Action<T>? prepare = null, CompileTarget? target = null, int leastLevel = 1)
        where T : XdpProgram
    {
        Kernel.Require();
        for (var level = leastLevel; level <= 4; level++)
        {
            var inProcess = create();
            using var twin = new TwinEngine();
            twin.Bind(inProcess);
            var inKernel = create();
            if (Compile(inKernel, target, level) is not { } spec)
            {
                continue;
            }

            using var loaded = ProgramLoader.Load(spec);
            var inInterpreter = create();
            using var interpreterTwin = new TwinEngine();
            interpreterTwin.Bind(inInterpreter);
            var interpreter = new BytecodeInterpreter(Compile(inInterpreter, target, level)!, interpreterTwin) { StepLimit = MostSteps };
            foreach (var each in new[] { inProcess, inKernel, inInterpreter })
            {
                prepare?.Invoke(each);
            }

            try
            {
                foreach (var packet in packets)
                {
                    var expected = twin.Run(inProcess, packet);
                    var expectedBytes = expected.Packet.ToArray();
                    var actual = loaded.TestRun(packet);
                    Assert.True(
                        (int)expected.Action == actual.ReturnValue && expectedBytes.AsSpan().SequenceEqual(actual.Output),
                        $"ISA v{level}: twin {expected.Action} {Convert.ToHexString(expectedBytes)}\nkernel {actual.ReturnValue} {Convert.ToHexString(actual.Output)}\npacket {Convert.ToHexString(packet)}\n"
                        + Listing(spec));
                    var interpreted = interpreter.RunXdp(packet);
                    Assert.True(
                        actual.ReturnValue == (int)interpreted.ReturnValue && interpreted.Packet.SequenceEqual(expectedBytes),
                        $"ISA v{level}: kernel {actual.ReturnValue} {Convert.ToHexString(actual.Output)}\ninterpreter {interpreted.ReturnValue} {Convert.ToHexString(interpreted.Packet)}\npacket {Convert.ToHexString(packet)}\n"
                        + Listing(spec));
                }

                if (contents is not null)
                {
                    var wanted = contents(inProcess);
                    Assert.Equal(wanted, contents(inKernel));
                    Assert.Equal(wanted, contents(inInterpreter));
                }
            }
            finally
            {
                foreach (var map in spec.Reachable.SelectMany(static s => s.Maps).Distinct())
                {
                    map.Dispose();
                }
            }
        }
    }

    /// <summary>Null when the level lacks an atomic operation, which only those before 3 may.</summary>
    public static ProgramSpec? Compile(BpfProgram program, CompileTarget? target, int level)
    {
        try
        {
            var spec = ProgramCompiler.Compile(program, (target ?? new CompileTarget()) with { IsaLevel = level });
            Assert.True(level > 2 || spec.Reachable.SelectMany(static s => s.Instructions).All(i => InstructionSet.LevelOf(i) <= level), Listing(spec));
            return spec;
        }
        catch (CompileException e) when (level < 3 && e.Id == "SKEP0015")
        {
            return null;
        }
    }

    public static string Listing(ProgramSpec spec) => Skep.Bpf.Asm.Disassembler.Disassemble(spec);
}
