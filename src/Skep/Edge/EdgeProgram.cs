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
    private readonly DecapsulationStage? _tunnels;
    private readonly DirectStage? _direct;

    /// <summary>The shortest program that does what <paramref name="options"/> ask for, over maps that outlive it.</summary>
    public EdgeProgram(EdgeMaps maps, EdgeOptions options)
    {
        _stages = new EdgeStages(maps, options, new Rewriter(notesChecksums: false));
        _tunnels = options.Decapsulate ? new DecapsulationStage(maps.Tunnels, options.SendOn) : null;
        _direct = options.Direct is { } direct ? new DirectStage(maps.Balancing, direct, _stages.RateLimit, _stages.ServiceLimits, isLast: !options.Balance) : null;
    }

    /// <inheritdoc/>
    public override string Name => "skep_edge";

    /// <summary>
    /// Which action belongs to a verdict under <paramref name="options"/>. What goes to a backend in outer headers may also be sent out of an interface.
    /// </summary>
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
        var action = XdpAction.Pass;
        var length = edge.Length;
        var verdict = status == ParseStatus.Ip ? Decide(ref context, in packet, ref edge, ref action) : EdgeStages.VerdictOf(status);
        return _stages.Finish(verdict, 1, length) ? XdpAction.Drop : action;
    }

    private EdgeVerdict Decide(ref XdpContext context, in IpPacket packet, ref EdgePacket edge, ref XdpAction action)
    {
        if (_tunnels is null && _direct is null)
        {
            return _stages.Decide(in packet, ref edge);
        }

        var admitted = _stages.Admit(in packet, ref edge);
        if (admitted != EdgeVerdict.Passed)
        {
            return admitted;
        }

        if (_tunnels is not null && _tunnels.IsEnd(in packet, edge.End))
        {
            return _tunnels.Run(ref context, in packet, edge.Start, edge.End, ref action);
        }

        if (_direct is not null)
        {
            // Two steps, because a packet that moved is nobody else's any more.
            var direct = _direct.Match(ref context, in packet, ref edge, out var match);
            if (direct != EdgeVerdict.Passed)
            {
                return direct == EdgeVerdict.Forwarded
                    ? _direct.Deliver(ref context, in packet, edge.Start, edge.End, edge.Length, in match, ref action) : direct;
            }
        }

        return _stages.Balance(in packet, ref edge);
    }
}
