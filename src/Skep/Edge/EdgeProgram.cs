using System.Runtime.CompilerServices;
using Skep.Balancing;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Filtering;
using Skep.Packets;

namespace Skep.Edge;

/// <summary>
/// The edge, at the earliest hook of an interface: block list, rate limit and balancer, each a stage that is absent from the code when it is off.
/// Every packet ends in one <see cref="EdgeVerdict"/>, which is counted.
/// </summary>
public sealed unsafe class EdgeProgram : XdpProgram
{
    private readonly BlockListStage? _blockList;
    private readonly RateLimitStage? _rateLimit;
    private readonly BalancerStage? _balancer;
    private readonly bool _checksLengths;
    private readonly ulong _dropped;
    private readonly PerCpuArrayMap<EdgeCounter> _counters;

    /// <summary>The shortest program that does what <paramref name="options"/> ask for, over maps that outlive it.</summary>
    public EdgeProgram(EdgeMaps maps, EdgeOptions options)
    {
        ArgumentNullException.ThrowIfNull(maps);
        ArgumentNullException.ThrowIfNull(options);
        _counters = maps.Counters;
        _blockList = options.BlockAddresses ? new BlockListStage(maps.BlockedAddresses, options.BlockPrefixes ? maps.BlockedPrefixes : null) : null;
        _rateLimit = options.RateLimit is { } rate ? new RateLimitStage(maps.Sources, rate) : null;
        _balancer = options.Balance ? new BalancerStage(maps.Balancing, _rateLimit, options.Measure) : null;
        _checksLengths = options.Malformed == PacketPolicy.Drop;
        _dropped = DroppedBy(options);
    }

    /// <inheritdoc/>
    public override string Name => "skep_edge";

    /// <summary>Which action belongs to a verdict under <paramref name="options"/>.</summary>
    public static XdpAction ActionOf(EdgeVerdict verdict, EdgeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return ((DroppedBy(options) >> (int)verdict) & 1) != 0 ? XdpAction.Drop : XdpAction.Pass;
    }

    /// <inheritdoc/>
    public override XdpAction Run(ref XdpContext context)
    {
        var data = context.Data;
        var end = context.DataEnd;
        var length = (uint)(end - data);
        var verdict = Decide(data, end, length);
        ref var counter = ref _counters.Find((uint)verdict);
        if (!Unsafe.IsNullRef(ref counter))
        {
            counter.Packets++;
            counter.Bytes += length;
        }

        return ((_dropped >> (int)verdict) & 1) != 0 ? XdpAction.Drop : XdpAction.Pass;
    }

    private EdgeVerdict Decide(byte* data, byte* end, uint length)
    {
        var status = IpPacket.Parse(data, end, out var packet);
        if (status != ParseStatus.Ip)
        {
            return status == ParseStatus.NotIp ? EdgeVerdict.NotIp : EdgeVerdict.Malformed;
        }

        if (_checksLengths && !PacketCheck.IsConsistent(in packet, end))
        {
            return EdgeVerdict.Malformed;
        }

        if (_blockList is not null && _blockList.IsBlocked(in packet.Source, length))
        {
            return EdgeVerdict.Blocked;
        }

        if (_balancer is not null)
        {
            return _balancer.Run(in packet, end, length);
        }

        return _rateLimit is not null && !_rateLimit.Admits(in packet.Source) ? EdgeVerdict.RateLimited : EdgeVerdict.Passed;
    }

    private static ulong DroppedBy(EdgeOptions options)
    {
        var dropped = Bit(EdgeVerdict.Blocked) | Bit(EdgeVerdict.RateLimited) | Bit(EdgeVerdict.NoBackend)
            | Bit(EdgeVerdict.TableFull) | Bit(EdgeVerdict.PortCollision);
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

    private static ulong Bit(EdgeVerdict verdict) => 1UL << (int)verdict;
}
