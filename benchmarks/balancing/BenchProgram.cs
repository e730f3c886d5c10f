using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Edge;

namespace Skep.Benchmarks.Balancing;

/// <summary>What is written over the packet before each run. Layout: 128 bytes of packet, flows 4, last flow 4, family 4, bytes of outer headers 4.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct BenchTemplate
{
    internal const int PacketBytes = 128;

    internal Words Packet;
    internal uint Flows;
    internal uint Last;
    internal uint Family;
    internal int Undo;

    internal static BenchTemplate Of(ReadOnlySpan<byte> packet, uint flows, int family, int undo)
    {
        var template = new BenchTemplate { Flows = flows, Family = (uint)family, Undo = undo };
        packet[..PacketBytes].CopyTo(new Span<byte>(&template, PacketBytes));
        return template;
    }

    [InlineArray(PacketBytes / 8)]
    internal struct Words
    {
        private ulong _first;
    }
}

/// <summary>
/// A test run with repetitions does not restore the packet, so the measured program does: it writes the template over it, sets the flow's source port and the
/// lower half of its address, runs the edge or nothing, and takes the outer headers off again. balancer.c has the same around its balancer.
/// </summary>
internal sealed unsafe class BenchProgram(EdgeProgram? edge, ArrayMap<BenchTemplate> template) : XdpProgram
{
    private readonly EdgeProgram? _edge = edge;
    private readonly ArrayMap<BenchTemplate> _template = template;

    public override string Name => _edge is null ? "bench_null" : "bench_edge";

    public override XdpAction Run(ref XdpContext context)
    {
        var data = context.Data;
        ref var bench = ref _template.Find(0u);
        if (Unsafe.IsNullRef(ref bench) || data + BenchTemplate.PacketBytes > context.DataEnd)
        {
            return XdpAction.Aborted;
        }

        ref var words = ref Unsafe.As<BenchTemplate.Words, ulong>(ref bench.Packet);
        var target = (ulong*)data;
        target[0] = words;
        target[1] = Unsafe.Add(ref words, 1);
        target[2] = Unsafe.Add(ref words, 2);
        target[3] = Unsafe.Add(ref words, 3);
        target[4] = Unsafe.Add(ref words, 4);
        target[5] = Unsafe.Add(ref words, 5);
        target[6] = Unsafe.Add(ref words, 6);
        target[7] = Unsafe.Add(ref words, 7);
        target[8] = Unsafe.Add(ref words, 8);
        target[9] = Unsafe.Add(ref words, 9);
        target[10] = Unsafe.Add(ref words, 10);
        target[11] = Unsafe.Add(ref words, 11);
        target[12] = Unsafe.Add(ref words, 12);
        target[13] = Unsafe.Add(ref words, 13);
        target[14] = Unsafe.Add(ref words, 14);
        target[15] = Unsafe.Add(ref words, 15);
        var flow = bench.Last + 1;
        if (flow >= bench.Flows)
        {
            flow = 0;
        }

        bench.Last = flow;
        if (bench.Family == 6)
        {
            *(ushort*)(data + 54) = (ushort)flow;
            *(ushort*)(data + 36) = (ushort)(flow >> 16);
        }
        else
        {
            *(ushort*)(data + 34) = (ushort)flow;
            *(ushort*)(data + 28) = (ushort)(flow >> 16);
        }

        if (_edge is null)
        {
            return XdpAction.Pass;
        }

        var verdict = _edge.Run(ref context);
        if (bench.Undo != 0)
        {
            context.AdjustHead(bench.Undo);
        }

        return verdict;
    }
}
