using Skep.Bpf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Interpretation;
using Skep.Bpf.Verification;

namespace Skep.KernelTests.Compiler;

/// <summary>Random programs do in the kernel and in the bytecode interpreter what they do in the CLR; <c>SKEP_RANDOM_PROGRAMS</c> sets how many, <c>SKEP_RANDOM_SEED</c> where to begin.</summary>
public class RandomProgramTests
{
    private const int PerAssembly = 50;
    private const int PacketsEach = 12;
    private const string TooComplex = "SKEP1014";
    private const int MostShown = 5;

    // Each writes loops in another way.
    private static readonly Version[] s_kernels = [new(5, 15), new(5, 17), new(6, 9)];

    [KernelFact]
    public void Random_programs_do_in_the_kernel_what_they_do_in_the_clr()
    {
        var count = Setting("SKEP_RANDOM_PROGRAMS", 150);
        var seed = Setting("SKEP_RANDOM_SEED", 1);
        var (refused, unproven) = (0, 0);
        var differences = new List<string>();
        for (var done = 0; done < count; done += PerAssembly, seed++)
        {
            var target = new CompileTarget { IsaLevel = 1 + (seed & 3), Kernel = s_kernels[seed % s_kernels.Length] };
            foreach (var type in new ProgramGenerator(seed).Generate(PerAssembly))
            {
                try
                {
                    refused += Check(() => (RandomProgram)Activator.CreateInstance(type)!, target) ? 0 : 1;
                }
                catch (CompileException e) when (e.Id == "SKEP0030")
                {
                    // An index that is in range for a reason that no comparison of itself tells.
                    unproven++;
                }
                catch (Exception e) when (e is not OutOfMemoryException)
                {
                    differences.Add($"seed {seed} {type.Name}, ISA v{target.IsaLevel}, kernel {target.Kernel}: {e}");
                }
            }
        }

        Assert.True(differences.Count == 0, $"{differences.Count} of {count} random programs\n{string.Join('\n', differences.Take(MostShown))}");

        Assert.True(unproven * 100 <= count, $"{unproven} of {count} random programs are refused for an index");

        // The verifier may give up on a nest of loops; that is its right, but it must stay rare.
        Assert.True(refused * 50 <= count, $"{refused} of {count} random programs are too much for the verifier");
    }

    /// <summary>False when the program is too much for the verifier.</summary>
    private static bool Check(Func<RandomProgram> create, CompileTarget target)
    {
        using var twin = new TwinEngine();
        var program = create();
        twin.Bind(program);
        var compiled = create();
        if (Differential.Compile(compiled, target, target.IsaLevel) is not { } spec)
        {
            return true;
        }

        using var interpreterTwin = new TwinEngine();
        var interpretedProgram = create();
        interpreterTwin.Bind(interpretedProgram);
        var interpreter = new BytecodeInterpreter(ProgramCompiler.Compile(interpretedProgram, target), interpreterTwin);
        try
        {
            using var loaded = ProgramLoader.Load(spec);
            foreach (var reached in spec.Reachable)
            {
                var failure = ProgramCheck.Run(reached).Failure;
                Assert.True(failure is null, $"our own check: {failure}\n{Differential.Listing(reached)}");
            }

            foreach (var packet in RandomPackets.Make(PacketsEach, ProgramGenerator.PacketSize, 7))
            {
                var expected = twin.Run(program, packet);
                var bytes = expected.Packet.ToArray();
                var actual = loaded.TestRun(packet);
                Assert.True(
                    (int)expected.Action == actual.ReturnValue && bytes.AsSpan().SequenceEqual(actual.Output),
                    $"twin {expected.Action} {Convert.ToHexString(bytes)}\nkernel {actual.ReturnValue} {Convert.ToHexString(actual.Output)}\npacket {Convert.ToHexString(packet)}\n{Differential.Listing(spec)}");
                var interpreted = interpreter.RunXdp(packet);
                Assert.True(
                    actual.ReturnValue == (int)interpreted.ReturnValue && interpreted.Packet.SequenceEqual(bytes),
                    $"kernel {actual.ReturnValue} {Convert.ToHexString(actual.Output)}\ninterpreter {interpreted.ReturnValue} {Convert.ToHexString(interpreted.Packet)}\npacket {Convert.ToHexString(packet)}\n{Differential.Listing(spec)}");
            }

            SameMaps(program, compiled, spec, "kernel");
            SameMaps(program, interpretedProgram, spec, "interpreter");
            return true;
        }
        catch (BpfException e) when (e.ErrorNumber is Errno.TooBig or Errno.NoSpace or Errno.NoMemory || e is VerifierException { RuleId: TooComplex } || IsNestOfLoops(e, target))
        {
            return false;
        }
        catch (BpfException e)
        {
            throw new InvalidOperationException($"{e.Message}\n{Differential.Listing(spec)}", e);
        }
        finally
        {
            foreach (var map in spec.Reachable.SelectMany(static s => s.Maps).Distinct())
            {
                map.Dispose();
            }
        }
    }

    /// <summary>May_goto makes the verifier forget the counter of a loop around it, which then seems endless: docs/csharp.md says so.</summary>
    private static bool IsNestOfLoops(BpfException e, CompileTarget target) =>
        target.Kernel >= new Version(6, 9) && e.Message.Contains("infinite loop detected", StringComparison.Ordinal);

    private static void SameMaps(RandomProgram expected, RandomProgram actual, ProgramSpec spec, string engine)
    {
        if (actual.Memory.IsBound)
        {
            Assert.True(
                ((ReadOnlySpan<byte>)expected.Memory.Value).SequenceEqual(actual.Memory.Value),
                $"the memory differs in the {engine}\n{Differential.Listing(spec)}");
        }

        Assert.True(
            !actual.Shared.IsBound || expected.Shared.Value.Equals(actual.Shared.Value), $"the shared numbers differ in the {engine}\n{Differential.Listing(spec)}");
        Assert.True(!actual.Table.IsBound || expected.Rows().SequenceEqual(actual.Rows()), $"the table differs in the {engine}\n{Differential.Listing(spec)}");
    }

    private static int Setting(string name, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), out var value) ? value : otherwise;
}
