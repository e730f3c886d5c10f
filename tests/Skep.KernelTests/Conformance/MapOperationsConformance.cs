using System.Buffers.Binary;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Fuzz;
using static Skep.KernelTests.Conformance.MapOperations;

namespace Skep.KernelTests.Conformance;

/// <summary>What programs do with maps: the same operations in the kernel and in the twin give the same statuses, values and contents.</summary>
public class MapOperationsConformance
{
    private const int Steps = 30_000;
    private const int PerCpuHash = 2, PerCpuArray = 4, Maps = 6;

    [ProvesMap(MapKind.LpmTrie)]
    [KernelTheory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Random_operations_give_the_same_everywhere(int seed)
    {
        using var twin = new TwinEngine();
        var inTwin = new MapOperations();
        var inKernel = new MapOperations();
        twin.Bind(inTwin);
        ProgramGraph.Maps(inKernel);
        using var loaded = ProgramLoader.Load(ProgramCompiler.Compile(inKernel));
        try
        {
            var random = new Random(seed);
            var packet = new byte[14 + CommandSize];
            for (var step = 0; step < Steps; step++)
            {
                Command(random, packet.AsSpan(14));
                var expected = twin.Run(inTwin, packet).Action;
                Assert.Equal((int)expected, loaded.TestRun(packet).ReturnValue);
                inTwin.Result.TryGet(0, out var twinOutcome);
                inKernel.Result.TryGet(0, out var kernelOutcome);

                // A per-CPU value may be another CPU's in the kernel; that the entry exists is the same.
                if (packet[14] is PerCpuHash or PerCpuArray)
                {
                    (twinOutcome, kernelOutcome) = (twinOutcome with { Value = 0 }, kernelOutcome with { Value = 0 });
                }

                Assert.True(twinOutcome == kernelOutcome, $"step {step}, {Convert.ToHexStringLower(packet[14..])}: {twinOutcome} in the twin, {kernelOutcome} in the kernel");
            }

            var maps = ProgramGraph.Maps(inTwin).Where(m => m != inTwin.Result).ToArray();
            Assert.Empty(MapComparison.Differences(maps, [.. ProgramGraph.Maps(inKernel).Where(m => m != inKernel.Result)]));
            Assert.All(maps, m => Assert.True(m.Storage.NextKey(default, new byte[8]) == 0, $"{m.Name} ended empty: it proves nothing"));
        }
        finally
        {
            foreach (var map in ProgramGraph.Maps(inKernel))
            {
                map.Dispose();
            }
        }
    }

    private static void Command(Random random, Span<byte> command)
    {
        var map = random.Next(Maps);
        var operation = (Operation)random.Next(4);
        var mode = (UpdateMode)random.Next(4);

        // Replacing a per-CPU value would set it on whichever CPU the kernel is on; creating and adding give sums that do not depend on it.
        if (map is PerCpuHash or PerCpuArray && operation == Operation.Update)
        {
            mode = UpdateMode.NoExist;
        }

        command[0] = (byte)map;
        command[1] = (byte)operation;
        command[2] = (byte)mode;
        command[3] = (byte)new[] { 0, 1, 8, 9, 16, 24, 31, 32, 33 }[random.Next(9)];
        BinaryPrimitives.WriteUInt32LittleEndian(command[4..], (uint)random.Next(16));
        BinaryPrimitives.WriteUInt64LittleEndian(command[8..], (uint)random.Next());
    }
}
