using Skep.Balancing;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Edge;

/// <summary>
/// The edge at the earliest hook of an interface, for physical devices: block list, rate limit and balancer. Packets there are as on the wire, with whole
/// checksums. See <see cref="TcEdgeProgram"/> for the others.
/// </summary>
public sealed unsafe class EdgeProgram : XdpProgram
{
    private readonly EdgeStages _stages;

    /// <summary>The shortest program that does what <paramref name="options"/> ask for, over maps that outlive it.</summary>
    public EdgeProgram(EdgeMaps maps, EdgeOptions options) => _stages = new EdgeStages(maps, options, new Rewriter(notesChecksums: false));

    /// <inheritdoc/>
    public override string Name => "skep_edge";

    /// <summary>Which action belongs to a verdict under <paramref name="options"/>.</summary>
    public static XdpAction ActionOf(EdgeVerdict verdict, EdgeOptions options) =>
        ((EdgeStages.DroppedBy(options) >> (int)verdict) & 1) != 0 ? XdpAction.Drop : XdpAction.Pass;

    /// <inheritdoc/>
    public override XdpAction Run(ref XdpContext context)
    {
        EdgePacket edge;
        edge.Start = context.Data;
        edge.End = context.DataEnd;
        edge.Length = (uint)(edge.End - edge.Start);
        edge.Packets = 1;
        edge.Bytes = edge.Length;
        edge.Mend = default;
        var status = IpPacket.Parse(edge.Start, edge.End, out var packet);
        var verdict = status == ParseStatus.Ip ? _stages.Decide(in packet, ref edge) : EdgeStages.VerdictOf(status);
        return _stages.Finish(verdict, 1, edge.Length) ? XdpAction.Drop : XdpAction.Pass;
    }
}
