using Skep.Bpf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Interpretation;

namespace Skep.KernelTests.Compiler;

/// <summary>Random programs do in the kernel and in the bytecode interpreter what they do in the CLR; <c>SKEP_RANDOM_PROGRAMS</c> sets how many, <c>SKEP_RANDOM_SEED</c> where to begin.</summary>
public class RandomProgramTests
{
    private const int PerAssembly = 50;
    private const int PacketsEach = 12;

    [KernelFact]
    public void Random_programs_do_in_the_kernel_what_they_do_in_the_clr()
    {
        var count = Setting("SKEP_RANDOM_PROGRAMS", 150);
        var seed = Setting("SKEP_RANDOM_SEED", 1);
        var refused = 0;
        for (var done = 0; done < count; done += PerAssembly, seed++)
        {
            foreach (var type in new ProgramGenerator(seed).Generate(PerAssembly))
            {
                refused += Check(() => (RandomProgram)Activator.CreateInstance(type)!, $"seed {seed} {type.Name}", 1 + (seed & 3)) ? 0 : 1;
            }
        }

        // The verifier may give up on a nest of loops; that is its right, but it must stay rare.
        Assert.True(refused * 50 <= count, $"{refused} of {count} random programs are too much for the verifier");
    }

    private static bool Check(Func<RandomProgram> create, string which, int level)
    {
        using var twin = new TwinEngine();
        var program = create();
        twin.Bind(program);
        var compiled = create();
        using var memory = compiled.Memory;
        using var table = compiled.Table;
        using var shared = compiled.Shared;
        if (Differential.Compile(compiled, null, level) is not { } spec)
        {
            return true;
        }

        using var interpreterTwin = new TwinEngine();
        var interpretedProgram = create();
        interpreterTwin.Bind(interpretedProgram);
        var interpreter = new BytecodeInterpreter(ProgramCompiler.Compile(interpretedProgram, new CompileTarget { IsaLevel = level }), interpreterTwin);
        LoadedProgram loaded;
        try
        {
            loaded = ProgramLoader.Load(spec);
        }
        catch (BpfException e) when (e.ErrorNumber is Errno.TooBig or Errno.NoSpace or Errno.NoMemory)
        {
            return false;
        }
        catch (BpfException e)
        {
            throw new InvalidOperationException($"{which}: {e.Message}\n{Differential.Listing(spec)}", e);
        }

        using (loaded)
        {
            foreach (var packet in RandomPackets.Make(PacketsEach, ProgramGenerator.PacketSize, 7))
            {
                var expected = twin.Run(program, packet);
                var bytes = expected.Packet.ToArray();
                var actual = loaded.TestRun(packet);
                Assert.True(
                    (int)expected.Action == actual.ReturnValue && bytes.AsSpan().SequenceEqual(actual.Output),
                    $"{which}: twin {expected.Action} {Convert.ToHexString(bytes)}\nkernel {actual.ReturnValue} {Convert.ToHexString(actual.Output)}\npacket {Convert.ToHexString(packet)}\n{Differential.Listing(spec)}");
                var interpreted = interpreter.RunXdp(packet);
                Assert.True(
                    actual.ReturnValue == (int)interpreted.ReturnValue && interpreted.Packet.SequenceEqual(bytes),
                    $"{which}: kernel {actual.ReturnValue} {Convert.ToHexString(actual.Output)}\ninterpreter {interpreted.ReturnValue} {Convert.ToHexString(interpreted.Packet)}\npacket {Convert.ToHexString(packet)}\n{Differential.Listing(spec)}");
            }
        }

        if (memory.IsBound)
        {
            Assert.True(
                ((ReadOnlySpan<byte>)program.Memory.Value).SequenceEqual(memory.Value),
                $"{which}: the memories differ\n{Differential.Listing(spec)}");
            Assert.True(
                ((ReadOnlySpan<byte>)interpretedProgram.Memory.Value).SequenceEqual(memory.Value),
                $"{which}: the interpreter's memory differs\n{Differential.Listing(spec)}");
        }

        if (shared.IsBound)
        {
            Assert.Equal(program.Shared.Value, shared.Value);
            Assert.Equal(interpretedProgram.Shared.Value, shared.Value);
        }

        if (table.IsBound)
        {
            Assert.Equal(program.Rows(), compiled.Rows());
            Assert.Equal(program.Rows(), interpretedProgram.Rows());
        }

        return true;
    }

    private static int Setting(string name, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), out var value) ? value : otherwise;
}
