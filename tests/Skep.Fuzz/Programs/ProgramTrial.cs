using Skep.Bpf;
using Skep.Bpf.Asm;
using Skep.Bpf.Compiler;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Interpretation;
using Skep.Bpf.Verification;

namespace Skep.Fuzz.Programs;

/// <summary>How a random program fared.</summary>
internal enum TrialOutcome
{
    /// <summary>All engines did the same.</summary>
    Equal,

    /// <summary>Refused by the compiler for a reason that is documented: an index, the stack, an operation that the instruction set lacks.</summary>
    Refused,

    /// <summary>Too much for the verifier, which may give up on a nest of loops.</summary>
    TooComplex,

    /// <summary>A difference, a rejection, or a fault of the compiler.</summary>
    Failed,
}

/// <summary>How a random program fared, and why not as most.</summary>
/// <param name="Outcome">What became of it.</param>
/// <param name="Problem">What is wrong; empty when nothing is.</param>
/// <param name="Rule">Number of the rule by which the compiler refuses it; null unless it does.</param>
internal sealed record TrialVerdict(TrialOutcome Outcome, string Problem = "", string? Rule = null);

/// <summary>
/// One random program in the CLR, in the bytecode interpreter and in the kernel. It is one object, compiled once, whose maps each engine has in its turn: what an
/// engine did is kept while the next does it.
/// </summary>
internal static class ProgramTrial
{
    private const int PacketsEach = 12;
    private const string TooComplex = "SKEP1014";
    private static readonly byte[][] s_packets = [.. RandomPackets.Make(PacketsEach, ProgramGenerator.PacketSize, 7)];

    // Each writes loops in another way.
    private static readonly Version[] s_kernels = [new(5, 15), new(5, 17), new(6, 9)];

    /// <summary>The target that programs of a seed are compiled for: all instruction sets and loop forms by turns.</summary>
    public static CompileTarget TargetOf(int seed) => new() { IsaLevel = 1 + (seed & 3), Kernel = s_kernels[seed % s_kernels.Length] };

    /// <summary>Tries a program of <see cref="ProgramGenerator"/>.</summary>
    /// <param name="type">Its class.</param>
    /// <param name="target">What it is compiled for.</param>
    /// <param name="inKernel">False to leave the kernel out.</param>
    /// <param name="isChecked">Whether our own check is asked, too, once the kernel has accepted the program.</param>
    public static TrialVerdict Run(Type type, CompileTarget target, bool inKernel, bool isChecked = true)
    {
        ProgramSpec? spec = null;
        try
        {
            var program = (RandomProgram)Activator.CreateInstance(type)!;
            spec = ProgramCompiler.Compile(program, target);
            if (target.IsaLevel <= 2 && spec.Reachable.SelectMany(static s => s.Instructions).Any(i => InstructionSet.LevelOf(i) > target.IsaLevel))
            {
                return Failure("an instruction of a later set", spec);
            }

            var expected = InClr(program);
            if (expected.DifferenceTo(Interpreted(program, spec)) is { } interpreted)
            {
                return Failure($"CLR and interpreter: {interpreted}", spec);
            }

            return inKernel && expected.DifferenceTo(InKernel(program, spec, isChecked)) is { } difference ? Failure($"CLR and kernel: {difference}", spec) : new TrialVerdict(TrialOutcome.Equal);
        }
        catch (CompileException e) when (RuleTable.All.Any(r => r.Id == e.Id) && (e.Id != Rule.InstructionSet || target.IsaLevel < 3))
        {
            return new TrialVerdict(TrialOutcome.Refused, e.Message, e.Id);
        }
        catch (BpfException e) when (e.ErrorNumber is Errno.TooBig or Errno.NoSpace or Errno.NoMemory || e is VerifierException { RuleId: TooComplex } || IsNestOfLoops(e, target))
        {
            return new TrialVerdict(TrialOutcome.TooComplex, e.Message.Split('\n')[0]);
        }
        catch (Exception e) when (e is not OutOfMemoryException && !(e is BpfException { ErrorNumber: Errno.Permission } and not VerifierException))
        {
            target.Dump?.Invoke("what the verifier says", (e as VerifierException)?.Log ?? "");
            return Failure(e.ToString(), spec);
        }
        finally
        {
            foreach (var map in spec?.Reachable.SelectMany(static s => s.Maps).Distinct() ?? [])
            {
                map.Dispose();
            }
        }
    }

    private static TrialResult InClr(RandomProgram program)
    {
        using var twin = new TwinEngine();
        twin.Bind(program);
        return TrialResult.Of(program, s_packets, packet =>
        {
            var result = twin.Run(program, packet);
            return ((int)result.Action, result.Packet.ToArray());
        });
    }

    private static TrialResult Interpreted(RandomProgram program, ProgramSpec spec)
    {
        using var twin = new TwinEngine();
        twin.Bind(program);
        var interpreter = new BytecodeInterpreter(spec, twin);
        return TrialResult.Of(program, s_packets, packet =>
        {
            var result = interpreter.RunXdp(packet);
            return ((int)result.ReturnValue, result.Packet.ToArray());
        });
    }

    private static TrialResult InKernel(RandomProgram program, ProgramSpec spec, bool isChecked)
    {
        using var loaded = ProgramLoader.Load(spec);
        foreach (var reached in isChecked ? spec.Reachable : [])
        {
            if (ProgramCheck.Run(reached).Failure is { } failure)
            {
                throw new InvalidOperationException($"the kernel accepts it, our own check does not: {failure}");
            }
        }

        var output = new byte[ProgramGenerator.PacketSize];
        return TrialResult.Of(program, s_packets, packet =>
        {
            var result = loaded.TestRun(packet, output);
            return (result.ReturnValue, output[..result.OutputLength]);
        });
    }

    /// <summary>May_goto makes the verifier forget the counter of a loop around it, which then seems endless: docs/csharp.md says so.</summary>
    private static bool IsNestOfLoops(BpfException e, CompileTarget target) =>
        target.Kernel >= new Version(6, 9) && e.Message.Contains("infinite loop detected", StringComparison.Ordinal);

    private static TrialVerdict Failure(string problem, ProgramSpec? spec) =>
        new(TrialOutcome.Failed, spec is null ? problem : $"{problem}\n{Disassembler.Disassemble(spec)}");
}
