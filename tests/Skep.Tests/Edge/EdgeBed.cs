using Skep.Balancing;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Twin;
using Skep.Edge;
using Skep.Packets;

namespace Skep.Tests.Edge;

/// <summary>An edge program under a twin with both halves at hand.</summary>
internal sealed class EdgeBed : IDisposable
{
    public EdgeBed(EdgeOptions? options = null, Action<EdgeState>? prepare = null)
    {
        Options = options ?? Small;
        Maps = new EdgeMaps(Options);
        Program = new EdgeProgram(Maps, Options);
        foreach (var map in Maps.All)
        {
            Twin.Bind(map);
        }

        State = new EdgeState(Maps, Time);
        prepare?.Invoke(State);
    }

    public static EdgeOptions Small { get; } = new()
    {
        RingSize = 251,
        RingRows = 1536,
        MaxServices = 8,
        MaxBackends = 32,
        MaxConnections = 256,
        MaxBlockedAddresses = 16,
        MaxBlockedPrefixes = 16,
        MaxSources = 64,
    };

    public EdgeOptions Options { get; }

    public EdgeMaps Maps { get; }

    public EdgeProgram Program { get; }

    public TrackedConnections Connections => new(Maps.Balancing);

    public EdgeState State { get; }

    public TwinEngine Twin { get; } = new();

    public TimeProvider Time => new TwinTime(Twin);

    /// <summary>Runs a packet and returns its verdict, as the counters tell it; the action must be the verdict's.</summary>
    public (EdgeVerdict Verdict, byte[] Packet) Run(byte[] frame)
    {
        var before = State.ReadCounters();
        var result = Twin.Run(Program, frame);
        var packet = result.Packet.ToArray();
        var after = State.ReadCounters();
        var verdict = Assert.Single(after.Keys, v => after[v].Packets != before[v].Packets);
        Assert.Equal(before[verdict].Packets + 1, after[verdict].Packets);
        Assert.Equal(before[verdict].Bytes + (ulong)frame.Length, after[verdict].Bytes);
        if ((Options.Direct is null && !Options.SendOn) || EdgeProgram.ActionOf(verdict, Options) == XdpAction.Drop)
        {
            Assert.Equal(EdgeProgram.ActionOf(verdict, Options), result.Action);
        }

        return (verdict, packet);
    }

    public EdgeVerdict Verdict(byte[] frame) => Run(frame).Verdict;

    public void Dispose() => Twin.Dispose();

    public static ServiceModel Service(string name, string address, ushort port, IpProtocol protocol, params BackendModel[] backends) =>
        new(name, IpAddress.Parse(address), port, protocol, [.. backends]);

    public static BackendModel Backend(string address, ushort port, int weight = 1) => new(IpAddress.Parse(address), port, weight);

    /// <summary>The kernel's monotonic clock, as the twin has it.</summary>
    private sealed class TwinTime(TwinEngine twin) : TimeProvider
    {
        public override long TimestampFrequency => 1_000_000_000;

        public override long GetTimestamp() => (long)twin.Environment.KtimeNow;
    }
}
