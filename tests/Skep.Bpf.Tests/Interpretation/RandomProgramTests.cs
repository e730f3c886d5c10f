using Skep.Bpf.Compiler;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Interpretation;
using Skep.KernelTests.Compiler;

namespace Skep.Bpf.Tests.Interpretation;

/// <summary>What the compiler made of a random program does what the CLR does. No kernel is needed.</summary>
public class RandomProgramTests
{
    private const int Programs = 60;
    private const int PacketsEach = 12;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Random_programs_do_as_bytecode_what_they_do_in_the_clr(int level)
    {
        // Before level 3 there are no atomic operations with a result, which some of the programs use.
        var refused = 0;
        foreach (var type in new ProgramGenerator(1000 + level).Generate(Programs))
        {
            using var clrTwin = new TwinEngine();
            using var twin = new TwinEngine();
            var clr = (RandomProgram)Activator.CreateInstance(type)!;
            var compiled = (RandomProgram)Activator.CreateInstance(type)!;
            clrTwin.Bind(clr);
            twin.Bind(compiled);
            ProgramSpec spec;
            try
            {
                spec = ProgramCompiler.Compile(compiled, new CompileTarget { IsaLevel = level });
            }
            catch (CompileException e) when (level < 3 && e.Id == "SKEP0015")
            {
                refused++;
                continue;
            }

            var interpreter = new BytecodeInterpreter(spec, twin);
            foreach (var packet in RandomPackets.Make(PacketsEach, ProgramGenerator.PacketSize, 7))
            {
                var expected = clrTwin.Run(clr, packet);
                var actual = interpreter.RunXdp(packet);
                Assert.True(
                    expected.Action == actual.XdpAction && expected.Packet.SequenceEqual(actual.Packet),
                    $"ISA v{level} {type.Name}: CLR {expected.Action}, bytecode {actual.ReturnValue}\npacket {Convert.ToHexString(packet)}\n{Skep.Bpf.Asm.Disassembler.Disassemble(spec)}");
            }

            Assert.True(((ReadOnlySpan<byte>)clr.Memory.Value).SequenceEqual(compiled.Memory.Value), $"{type.Name}: the memories differ");
            Assert.Equal(clr.Shared.Value, compiled.Shared.Value);
            Assert.Equal(clr.Rows(), compiled.Rows());
        }

        Assert.InRange(refused, 0, Programs / 2);
    }
}
