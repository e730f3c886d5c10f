using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Edge;

namespace Skep.Benchmarks.Edge;

/// <summary>What is written over the packet before each run. Layout: 96 bytes of headers, port 4, whether it changes 4.</summary>
internal unsafe struct BenchTemplate
{
    internal const int HeaderBytes = 96;

    internal ulong W0, W1, W2, W3, W4, W5, W6, W7, W8, W9, W10, W11;
    internal uint Port;
    internal uint Vary;

    internal static BenchTemplate Of(ReadOnlySpan<byte> packet, bool vary)
    {
        var template = default(BenchTemplate);
        packet[..HeaderBytes].CopyTo(new Span<byte>(&template, HeaderBytes));
        template.Vary = vary ? 1u : 0;
        return template;
    }
}

/// <summary>
/// A test run with repetitions does not restore the packet, so the measured program does: it writes the template over the packet and then
/// runs the edge, or nothing, to know what the writing costs. edge.c has the same around its edge.
/// </summary>
internal sealed unsafe class BenchProgram(EdgeProgram? edge, ArrayMap<BenchTemplate> template) : XdpProgram
{
    private readonly EdgeProgram? _edge = edge;
    private readonly ArrayMap<BenchTemplate> _template = template;

    public override string Name => _edge is null ? "bench_null" : "bench_edge";

    public override XdpAction Run(ref XdpContext context)
    {
        var data = context.Data;
        var end = context.DataEnd;
        ref var bench = ref _template.Find(0u);
        if (Unsafe.IsNullRef(ref bench) || data + BenchTemplate.HeaderBytes > end)
        {
            return XdpAction.Aborted;
        }

        var words = (ulong*)data;
        words[0] = bench.W0;
        words[1] = bench.W1;
        words[2] = bench.W2;
        words[3] = bench.W3;
        words[4] = bench.W4;
        words[5] = bench.W5;
        words[6] = bench.W6;
        words[7] = bench.W7;
        words[8] = bench.W8;
        words[9] = bench.W9;
        words[10] = bench.W10;
        words[11] = bench.W11;
        if (bench.Vary != 0)
        {
            bench.Port++;
            *(ushort*)(data + 34) = (ushort)bench.Port;
            *(ushort*)(data + 28) = (ushort)(bench.Port >> 16);
        }

        return _edge is null ? XdpAction.Pass : _edge.Run(ref context);
    }
}
