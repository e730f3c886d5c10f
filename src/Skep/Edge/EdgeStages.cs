using System.Runtime.CompilerServices;
using Skep.Balancing;
using Skep.Bpf.Maps;
using Skep.Edge.Tracing;
using Skep.Filtering;
using Skep.Packets;

namespace Skep.Edge;

/// <summary>
/// Kernel half: the stages of the edge, the same at every hook, each absent from the code when it is off. Every packet ends in one
/// <see cref="EdgeVerdict"/>, which is counted.
/// </summary>
internal sealed class EdgeStages
{
    private readonly BlockListStage? _blockList;
    private readonly RateLimitStage? _rateLimit;
    private readonly BalancerStage? _balancer;
    private readonly TraceStage? _trace;
    private readonly bool _checksLengths;
    private readonly ulong _dropped;
    private readonly PerCpuArrayMap<EdgeCounter> _counters;

    /// <summary>The shortest code that does what <paramref name="options"/> ask for, over maps that outlive it.</summary>
    internal EdgeStages(EdgeMaps maps, EdgeOptions options, Rewriter rewriter)
    {
        ArgumentNullException.ThrowIfNull(maps);
        ArgumentNullException.ThrowIfNull(options);
        _counters = maps.Counters;
        _blockList = options.BlockAddresses ? new BlockListStage(maps.BlockedAddresses, options.BlockPrefixes ? maps.BlockedPrefixes : null) : null;
        _rateLimit = options.RateLimit is { } rate ? new RateLimitStage(maps.Sources, rate) : null;
        ServiceLimits = options.Limits is { } limits ? new ServiceLimitStage(maps.Balancing, limits) : null;
        _trace = options.Trace ? new TraceStage(maps) : null;
        _balancer = options.Balance ? new BalancerStage(maps.Balancing, _rateLimit, ServiceLimits, options, rewriter, _trace) : null;
        _checksLengths = options.Malformed == PacketPolicy.Drop;
        _dropped = DroppedBy(options);
    }

    /// <summary>Limits of services, or null.</summary>
    internal ServiceLimitStage? ServiceLimits { get; }

    /// <summary>Writes down the packets of one connection, or null.</summary>
    internal TraceStage? Trace => _trace;

    /// <summary>Limit of sources, or null.</summary>
    internal RateLimitStage? RateLimit => _rateLimit;

    /// <summary>Whether lengths of headers are compared with what is there.</summary>
    internal bool ChecksLengths => _checksLengths;

    /// <summary>Verdicts that drop under <paramref name="options"/>, a bit each.</summary>
    internal static ulong DroppedBy(EdgeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var dropped = Bit(EdgeVerdict.Blocked) | Bit(EdgeVerdict.RateLimited) | Bit(EdgeVerdict.NoBackend)
            | Bit(EdgeVerdict.TableFull) | Bit(EdgeVerdict.PortCollision) | Bit(EdgeVerdict.SourceRefused) | Bit(EdgeVerdict.Undeliverable)
            | Bit(EdgeVerdict.TunnelRefused) | Bit(EdgeVerdict.PortsExhausted) | Bit(EdgeVerdict.ServiceLimited) | Bit(EdgeVerdict.Held);
        if (options.Malformed == PacketPolicy.Drop)
        {
            dropped |= Bit(EdgeVerdict.Malformed);
        }

        if (options.StrayFragments == PacketPolicy.Drop)
        {
            dropped |= Bit(EdgeVerdict.StrayFragment);
        }

        return dropped;
    }

    /// <summary>What becomes of a packet without readable IP headers.</summary>
    internal static EdgeVerdict VerdictOf(ParseStatus status) => status == ParseStatus.NotIp ? EdgeVerdict.NotIp : EdgeVerdict.Malformed;

    /// <summary>Decides about an IP packet and rewrites it.</summary>
    internal EdgeVerdict Decide(in IpPacket packet, ref EdgePacket edge)
    {
        var verdict = Admit(in packet, ref edge);
        return verdict == EdgeVerdict.Passed ? Balance(in packet, ref edge) : verdict;
    }

    /// <summary>Decides whether a packet may come in; <see cref="EdgeVerdict.Passed"/> when it may.</summary>
    internal EdgeVerdict Admit(in IpPacket packet, ref EdgePacket edge)
    {
        if (_checksLengths && !PacketCheck.IsConsistent(in packet, in edge))
        {
            return EdgeVerdict.Malformed;
        }

        if (_blockList is not null && _blockList.IsBlocked(in packet.Source, edge.Packets, edge.Bytes))
        {
            return EdgeVerdict.Blocked;
        }

        return EdgeVerdict.Passed;
    }

    /// <summary>Decides about a packet that may come in, and rewrites it.</summary>
    internal EdgeVerdict Balance(in IpPacket packet, ref EdgePacket edge)
    {
        if (_balancer is not null)
        {
            return _balancer.Run(in packet, ref edge);
        }

        return _rateLimit is not null && !_rateLimit.Admits(in packet.Source, edge.Packets) ? EdgeVerdict.RateLimited : EdgeVerdict.Passed;
    }

    /// <summary>Counts a verdict; true when the packet is to be dropped.</summary>
    internal bool Finish(EdgeVerdict verdict, uint packets, uint bytes)
    {
        _trace?.Decided(verdict);
        ref var counter = ref _counters.Find((uint)verdict);
        if (!Unsafe.IsNullRef(ref counter))
        {
            counter.Packets += packets;
            counter.Bytes += bytes;
        }

        return ((_dropped >> (int)verdict) & 1) != 0;
    }

    private static ulong Bit(EdgeVerdict verdict) => 1UL << (int)verdict;
}
