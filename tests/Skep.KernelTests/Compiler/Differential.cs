using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;

namespace Skep.KernelTests.Compiler;

/// <summary>Runs the same program object shape on the twin and in the kernel and compares verdicts, packets and map contents.</summary>
internal static class Differential
{
    public static void Check<T>(Func<T> create, IEnumerable<byte[]> packets, Func<T, string>? contents = null)
        where T : XdpProgram
    {
        Kernel.Require();
        foreach (var level in new[] { 3, 4 })
        {
            var inProcess = create();
            using var twin = new TwinEngine();
            twin.Bind(inProcess);
            var inKernel = create();
            var spec = ProgramCompiler.Compile(inKernel, new CompileTarget { IsaLevel = level });
            using var loaded = ProgramLoader.Load(spec);
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
                }

                if (contents is not null)
                {
                    Assert.Equal(contents(inProcess), contents(inKernel));
                }
            }
            finally
            {
                foreach (var map in spec.Maps)
                {
                    map.Dispose();
                }
            }
        }
    }

    public static IEnumerable<byte[]> RandomPackets(int count, int length, int seed = 1)
    {
        var random = new Random(seed);
        for (var i = 0; i < count; i++)
        {
            var packet = new byte[length];
            random.NextBytes(packet);

            // Many small and extreme numbers among the random ones.
            for (var w = 0; w + 8 <= length; w += 8)
            {
                switch (random.Next(5))
                {
                    case 0:
                        BitConverter.TryWriteBytes(packet.AsSpan(w), (long)random.Next(-3, 70));
                        break;
                    case 1:
                        BitConverter.TryWriteBytes(packet.AsSpan(w), random.Next(2) == 0 ? long.MinValue : long.MaxValue);
                        break;
                    case 2:
                        BitConverter.TryWriteBytes(packet.AsSpan(w), (long)int.MinValue << random.Next(0, 33));
                        break;
                }
            }

            yield return packet;
        }
    }

    public static string Listing(ProgramSpec spec) => Skep.Bpf.Asm.Disassembler.Disassemble(spec);
}
