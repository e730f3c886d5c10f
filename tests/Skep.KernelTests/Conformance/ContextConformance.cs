using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Fuzz;

namespace Skep.KernelTests.Conformance;

/// <summary>What programs see of a packet beside its bytes, and how they change its room: the same in the kernel and in the twin.</summary>
public class ContextConformance
{
    private record struct TcFields(uint Length, uint Protocol, uint Mark, uint Interface, uint IngressInterface, uint GsoSegments, uint VlanPresent, uint Readable, int Loaded, int NotLoaded, ulong Bytes);

    private sealed unsafe class TcProbe : TcProgram
    {
        private readonly HashMap<uint, TcFields> _seen = new(256);
        private readonly Global<uint> _number = new();

        public override TcAction Run(ref TcContext context)
        {
            var fields = default(TcFields);
            fields.Length = context.Length;
            fields.Protocol = context.Protocol;
            fields.Mark = context.Mark;
            fields.Interface = context.Interface;
            fields.IngressInterface = context.IngressInterface;
            fields.GsoSegments = context.GsoSegments;
            fields.VlanPresent = context.VlanPresent;
            fields.Readable = (uint)(context.DataEnd - context.Data);
            var bytes = 0ul;
            fields.Loaded = context.LoadBytes(6, &bytes, sizeof(ulong));
            fields.Bytes = bytes;
            fields.NotLoaded = context.LoadBytes(context.Length - 4, &bytes, sizeof(ulong));
            fields.Bytes ^= bytes;
            var number = _number.Value++;
            _seen.Update(in number, in fields, UpdateMode.Any);
            return TcAction.Ok;
        }
    }

    /// <summary>Moves head and tail by what the packet's source address says: two signed 16-bit numbers.</summary>
    private sealed unsafe class RoomProbe : XdpProgram
    {
        private readonly HashMap<uint, ulong> _outcomes = new(8192);
        private readonly Global<uint> _number = new();

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 14 > context.DataEnd)
            {
                return XdpAction.Aborted;
            }

            int head = *(short*)data;
            int tail = *(short*)(data + 2);
            var movedHead = context.AdjustHead(head);
            var movedTail = context.AdjustTail(tail);
            var number = _number.Value++;
            var outcome = ((ulong)(uint)movedHead << 32) | (uint)movedTail;
            _outcomes.Update(in number, in outcome, UpdateMode.Any);
            return context.IngressInterface == 1 && context.RxQueue == 0 ? XdpAction.Tx : XdpAction.Pass;
        }
    }

    [KernelFact]
    public void A_TC_program_sees_the_same_fields()
    {
        using var engines = Pair(() => new TcProbe());
        foreach (var packet in PacketCorpus.All)
        {
            Assert.Null(engines.Run(packet.Bytes));
        }

        Assert.Empty(engines.CompareMaps());
    }

    [KernelFact]
    public void Head_and_tail_move_as_far_and_no_further()
    {
        using var engines = Pair(() => new RoomProbe());
        short[] heads = [0, -1, -2, -4, -14, -20, -100, -214, -215, -216, -217, -218, -256, -257, -1000, 1, 14, 46, 47, 85, 86, 87, 100, 101, 2000, short.MinValue, short.MaxValue];
        short[] tails = [0, 1, 4, 100, 3204, 3205, 3300, 3419, 3420, 3421, 3520, 3840, -1, -46, -85, -86, -87, -100, -101, short.MinValue, short.MaxValue];
        foreach (var head in heads)
        {
            foreach (var tail in tails)
            {
                var packet = Enumerable.Range(0, 100).Select(i => (byte)i).ToArray();
                BitConverter.TryWriteBytes(packet, head);
                BitConverter.TryWriteBytes(packet.AsSpan(2), tail);
                Assert.Null(engines.Run(packet));
            }
        }

        Assert.Empty(engines.CompareMaps());
    }

    private static EnginePair Pair(Func<BpfProgram> make) => new(bind =>
    {
        var program = make();
        var maps = ProgramGraph.Maps(program);
        foreach (var map in maps)
        {
            bind(map);
        }

        return ([program], maps);
    });
}
