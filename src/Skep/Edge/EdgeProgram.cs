using System.Runtime.CompilerServices;
using Skep.Balancing;
using Skep.Bpf.Maps;
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
    private readonly PerCpuArrayMap<Delivery> _scratch;
    private readonly bool _balances;

    // Beyond all verdicts: the packet goes to a backend with direct return.
    private const uint IsToDeliver = 0x100;

    /// <summary>The shortest program that does what <paramref name="options"/> ask for, over maps that outlive it.</summary>
    public EdgeProgram(EdgeMaps maps, EdgeOptions options)
    {
        _stages = new EdgeStages(maps, options, new Rewriter(notesChecksums: false));
        _tunnels = options.Decapsulate ? new DecapsulationStage(maps.Tunnels, options.SendOn) : null;
        _scratch = maps.Balancing.Direct.Delivery;
        _balances = options.Balance;
        _direct = options.Direct is { } direct ? new DirectStage(maps.Balancing, direct, _stages.RateLimit, _stages.ServiceLimits, isLast: !options.Balance, _stages.Trace) : null;
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
        if (_stages.Trace is not { } trace)
        {
            return Handle(ref context);
        }

        trace.Enter(ref context);
        var action = Handle(ref context);
        trace.Leave(ref context, (uint)action);
        return action;
    }

    private XdpAction Handle(ref XdpContext context)
    {
        var edge = Read(ref context);
        var action = XdpAction.Pass;
        var length = edge.Length;
        EdgeVerdict verdict;
        if (_direct is not null)
        {
            if (_balances)
            {
                // The stack is short: what is left is balanced when all of direct return is off it.
                var decided = DeliverApart(ref context);
                action = (XdpAction)(decided >> 32);
                verdict = (uint)decided == DirectStage.IsLeft ? (EdgeVerdict)Rewrite(ref context) : (EdgeVerdict)(uint)decided;
            }
            else
            {
                verdict = (EdgeVerdict)Deliver(ref context, _direct, ref edge, ref action);
                if (verdict == EdgeVerdict.Forwarded)
                {
                    // As nearly all are: a counter of a constant number.
                    _stages.Finish(EdgeVerdict.Forwarded, 1, length);
                    return action;
                }
            }

            // Whichever verdict: one state for the verifier.
            verdict = (EdgeVerdict)(Verifier.Forget((ulong)verdict, length) & 63);
        }
        else
        {
            var status = Parse(ref context, in edge, out var packet);
            verdict = status == ParseStatus.Ip ? Decide(ref context, in packet, ref edge, ref action) : EdgeStages.VerdictOf(status);
        }

        return _stages.Finish(verdict, 1, length) ? XdpAction.Drop : action;
    }

    private static EdgePacket Read(ref XdpContext context)
    {
        EdgePacket edge;
        edge.Start = context.Data;
        edge.End = context.DataEnd;
        edge.Length = (uint)(edge.End - edge.Start);
        edge.Packets = 1;
        edge.Bytes = edge.Length;
        edge.Mend = default;
        return edge;
    }

    private EdgeVerdict Decide(ref XdpContext context, in IpPacket packet, ref EdgePacket edge, ref XdpAction action)
    {
        var admitted = _stages.Admit(in packet, ref edge);
        if (admitted != EdgeVerdict.Passed)
        {
            return admitted;
        }

        return _tunnels is not null && _tunnels.IsEnd(in packet, edge.End)
            ? _tunnels.Run(ref context, in packet, edge.Start, edge.End, ref action)
            : _stages.Balance(in packet, ref edge);
    }

    // Gives the verdict, or that the packet is left to balancing by rewriting.
    private uint Deliver(ref XdpContext context, DirectStage direct, ref EdgePacket edge, ref XdpAction action)
    {
        // Each family by itself: what follows has fewer branches for either.
        var known = 0u;
        if (IpPacket.TryParsePlainIPv4(edge.Start, edge.End, out var packet))
        {
            var verdict = DeliverPlain(ref context, direct, in packet, ref edge, ref action, ref known);
            if (verdict != DirectStage.IsOpen)
            {
                return verdict;
            }
        }
        else if (IpPacket.TryParsePlainIPv6(edge.Start, edge.End, out packet))
        {
            var verdict = DeliverPlain(ref context, direct, in packet, ref edge, ref action, ref known);
            if (verdict != DirectStage.IsOpen)
            {
                return verdict;
            }
        }

        ref var delivery = ref _scratch.Find(0u);
        if (Unsafe.IsNullRef(ref delivery))
        {
            return (uint)EdgeVerdict.NoBackend;
        }

        var decided = DecideRest(ref context, ref delivery, known);
        if ((uint)decided == IsToDeliver)
        {
            decided = direct.Deliver(ref context, ref delivery);
        }

        action = (XdpAction)(decided >> 32);
        return (uint)decided;
    }

    private uint DeliverPlain(ref XdpContext context, DirectStage direct, in IpPacket packet, ref EdgePacket edge, ref XdpAction action, ref uint known)
    {
        var admitted = _stages.Admit(in packet, ref edge);
        if (admitted != EdgeVerdict.Passed)
        {
            return (uint)admitted;
        }

        known = 1;
        return _tunnels is not null && _tunnels.IsEnd(in packet, edge.End) ? DirectStage.IsOpen : direct.DeliverPlain(ref context, in packet, in edge, ref action);
    }

    /// <summary>Direct return as a function of its own. Gives the verdict, or <see cref="DirectStage.IsLeft"/>; above bit 31 the action.</summary>
    [GlobalFunction]
    private ulong DeliverApart(ref XdpContext context)
    {
        var edge = Read(ref context);
        var action = XdpAction.Pass;
        var verdict = Deliver(ref context, _direct!, ref edge, ref action);
        return verdict | ((ulong)action << 32);
    }

    /// <summary>
    /// Decides about every packet that is not of plain shape and an established flow: a function of its own, so that what it knows of a packet does not multiply
    /// with what comes after it.
    /// </summary>
    /// <param name="context">The packet.</param>
    /// <param name="delivery">Where it goes.</param>
    /// <param name="known">0, or 1 when it may come in.</param>
    /// <returns>The verdict, or <see cref="IsToDeliver"/>, or <see cref="DirectStage.IsLeft"/>; above bit 31 the action.</returns>
    [GlobalFunction]
    private ulong DecideRest(ref XdpContext context, ref Delivery delivery, uint known)
    {
        var status = (ParseStatus)Describe(ref context, ref delivery);
        if (status != ParseStatus.Ip)
        {
            return Passing(EdgeStages.VerdictOf(status));
        }

        var edge = Read(ref context);
        var packet = delivery.PacketAt(edge.Start);
        if (packet.Network + sizeof(IPv4Header) > edge.End)
        {
            return Passing(EdgeVerdict.Malformed);
        }

        if (known == 0)
        {
            var admitted = _stages.Admit(in packet, ref edge);
            if (admitted != EdgeVerdict.Passed)
            {
                return Passing(admitted);
            }
        }

        if (_tunnels is not null && _tunnels.IsEnd(in packet, edge.End))
        {
            var action = XdpAction.Pass;
            var verdict = _tunnels.Run(ref context, in packet, edge.Start, edge.End, ref action);
            return (uint)verdict | ((ulong)action << 32);
        }

        // Two steps, because a packet that moved is nobody else's any more.
        var direct = _direct!.Match(ref context, in edge, ref delivery);
        if ((EdgeVerdict)(uint)direct == EdgeVerdict.Passed)
        {
            return _balances ? DirectStage.IsLeft : Passing(_direct.IsOverRate(in packet.Source) ? EdgeVerdict.RateLimited : EdgeVerdict.Passed);
        }

        return (EdgeVerdict)(uint)direct == EdgeVerdict.Forwarded ? IsToDeliver : direct >> 32 != 0 ? direct : Passing((EdgeVerdict)(uint)direct);
    }

    /// <summary>
    /// Writes down what a packet of any shape is, in two functions of their own, so that the shapes do not multiply with what comes after them. Gives a
    /// <see cref="ParseStatus"/>.
    /// </summary>
    [GlobalFunction]
    private static uint Describe(ref XdpContext context, ref Delivery delivery)
    {
        var start = context.Data;
        var status = IpPacket.FindNetwork(start, context.DataEnd, out var network, out var isIPv6);
        return status == ParseStatus.Ip ? DescribeNetwork(ref context, ref delivery, (uint)(network - start), isIPv6 ? 6u : 4) : (uint)status;
    }

    [GlobalFunction]
    private static uint DescribeNetwork(ref XdpContext context, ref Delivery delivery, uint link, uint family)
    {
        var start = context.Data;
        var status = IpPacket.ParseNetwork(start + (nuint)(link & 31), context.DataEnd, family == 6, out var packet);
        if (status == ParseStatus.Ip)
        {
            delivery.Describe(in packet, start);
        }

        return (uint)status;
    }

    private static ulong Passing(EdgeVerdict verdict) => (uint)verdict | ((ulong)XdpAction.Pass << 32);

    /// <summary>Balances by rewriting what direct return left and what may come in.</summary>
    [GlobalFunction]
    private uint Rewrite(ref XdpContext context)
    {
        var edge = Read(ref context);
        var status = Parse(ref context, in edge, out var packet);
        return status == ParseStatus.Ip ? (uint)_stages.Balance(in packet, ref edge) : (uint)EdgeStages.VerdictOf(status);
    }

    // Three cases for the verifier: two of plain shape and one of all other shapes.
    private ParseStatus Parse(ref XdpContext context, in EdgePacket edge, out IpPacket packet)
    {
        if (IpPacket.TryParsePlain(edge.Start, edge.End, out packet))
        {
            return ParseStatus.Ip;
        }

        ref var described = ref _scratch.Find(0u);
        if (Unsafe.IsNullRef(ref described))
        {
            return ParseStatus.Malformed;
        }

        var status = (ParseStatus)Describe(ref context, ref described);
        if (status != ParseStatus.Ip)
        {
            return status;
        }

        packet = described.PacketAt(edge.Start);
        return packet.Network + (packet.IsIPv6 ? sizeof(IPv6Header) : sizeof(IPv4Header)) <= edge.End ? ParseStatus.Ip : ParseStatus.Truncated;
    }
}
