using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Benchmarks.Compiler.Suite;

/// <summary>A bucket of tokens per source that fills with time: ten packets a second, twenty at once.</summary>
internal sealed unsafe class TokenBucket : Algorithm
{
    private const ulong Rate = 10;
    private const ulong Burst = 20;
    private const ulong Second = 1_000_000_000;
    private const ulong Scale = 1_000_000;

    private readonly LruHashMap<uint, Bucket> _buckets = new(4096);
    private readonly PerCpuArrayMap<ulong> _outcomes = new(2);

    internal override IReadOnlyList<Sample> Samples { get; } =
    [
        new("first of a source", From("10.0.0.1")),
        .. Enumerable.Range(0, 19).Select(i => new Sample($"within the burst {i + 1}", From("10.0.0.1"), IsTimed: i == 0)),
        new("bucket empty", From("10.0.0.1")),
        new("after a pause", From("10.0.0.1"), AdvanceNanoseconds: 250_000_000),
        new("after a long pause", From("10.0.0.1"), AdvanceNanoseconds: 90_000_000_000),
        new("IPv6", PacketBuilder.Ethernet().IPv6("fd00::1", "fd00::2").Tcp(1, 2).Build()),
    ];

    /// <summary>Its buckets hold times, which differ between two runs in the kernel.</summary>
    internal override IReadOnlySet<string> TimedMaps { get; } = new HashSet<string> { "buckets" };

    private static byte[] From(string source) => PacketBuilder.Ethernet().IPv4(source, "10.0.0.2").Tcp(1000, 80).Build();

    public override XdpAction Run(ref XdpContext context)
    {
        var data = context.Data;
        var end = context.DataEnd;
        var ethernet = (EthernetHeader*)data;
        var ip = (IPv4Header*)(ethernet + 1);
        if ((byte*)(ip + 1) > end || ethernet->EtherType != EtherTypes.IPv4)
        {
            return XdpAction.Pass;
        }

        var admitted = Admits(ip->Source.Raw);
        ref var count = ref _outcomes.Find(admitted ? 1u : 0u);
        if (!Unsafe.IsNullRef(ref count))
        {
            count++;
        }

        return admitted ? XdpAction.Pass : XdpAction.Drop;
    }

    private bool Admits(uint source)
    {
        var now = Helper.KtimeGetNs();
        ref var bucket = ref _buckets.Find(in source);
        if (Unsafe.IsNullRef(ref bucket))
        {
            var first = new Bucket { Tokens = (Burst - 1) * Scale, Last = now };
            _buckets.Update(in source, in first, UpdateMode.Any);
            return true;
        }

        var elapsed = now - bucket.Last;
        if (elapsed > Second)
        {
            elapsed = Second;
        }

        var tokens = bucket.Tokens + (elapsed * Rate / (Second / Scale));
        if (tokens > Burst * Scale)
        {
            tokens = Burst * Scale;
        }

        bucket.Last = now;
        if (tokens < Scale)
        {
            bucket.Tokens = tokens;
            return false;
        }

        bucket.Tokens = tokens - Scale;
        return true;
    }

    private struct Bucket
    {
        internal ulong Tokens;
        internal ulong Last;
    }
}
