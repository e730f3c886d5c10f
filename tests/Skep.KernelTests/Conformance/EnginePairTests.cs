using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Fuzz;

namespace Skep.KernelTests.Conformance;

/// <summary>A comparison that never fails proves nothing: these programs differ between engines on purpose.</summary>
public class EnginePairTests
{
    private sealed class Chance : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context) => (Helper.GetPrandomU32() & 1) == 0 ? XdpAction.Pass : XdpAction.Drop;
    }

    private sealed unsafe class Scribbler : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 14 > context.DataEnd)
            {
                return XdpAction.Aborted;
            }

            *data = (byte)Helper.GetPrandomU32();
            return XdpAction.Pass;
        }
    }

    private sealed class Clock : XdpProgram
    {
        private readonly HashMap<uint, ulong> _times = new(4);
        private readonly RingBuffer<ulong> _events = new(4096);

        public override XdpAction Run(ref XdpContext context)
        {
            var now = Helper.KtimeGetNs();
            _times.Update(1, in now, UpdateMode.Any);
            _events.Output(in now);
            return XdpAction.Pass;
        }
    }

    [KernelFact]
    public void Another_verdict_is_seen() => Assert.Contains("twin:", FirstDifference(new Chance(), new Chance()));

    [KernelFact]
    public void Other_bytes_are_seen() => Assert.Contains("kernel: pass", FirstDifference(new Scribbler(), new Scribbler()));

    [KernelFact]
    public void Other_map_contents_and_records_are_seen()
    {
        using var engines = Pair(new Clock(), new Clock());
        Assert.Null(engines.Run(new byte[64]));
        var differences = engines.CompareMaps();
        Assert.Equal(2, differences.Count);
        Assert.StartsWith("times[01000000]", differences[0]);
        Assert.StartsWith("events[record 00000000]", differences[1]);
    }

    private static string FirstDifference(BpfProgram inTwin, BpfProgram inKernel)
    {
        using var engines = Pair(inTwin, inKernel);
        for (var i = 0; i < 200; i++)
        {
            if (engines.Run(new byte[64]) is { } difference)
            {
                return difference;
            }
        }

        return "none in 200 packets";
    }

    private static EnginePair Pair(BpfProgram inTwin, BpfProgram inKernel)
    {
        var programs = new Queue<BpfProgram>([inTwin, (BpfProgram)Activator.CreateInstance(inTwin.GetType())!, inKernel]);
        return new EnginePair(bind =>
        {
            var program = programs.Dequeue();
            var maps = ProgramGraph.Maps(program);
            foreach (var map in maps)
            {
                bind(map);
            }

            return ([program], maps);
        });
    }
}
