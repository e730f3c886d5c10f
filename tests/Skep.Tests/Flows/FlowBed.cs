using Skep.Bpf.Twin;
using Skep.Flows;
using Skep.Packets;

namespace Skep.Tests.Flows;

/// <summary>Both flow programs under a twin, and their reader.</summary>
internal sealed class FlowBed : IDisposable
{
    public const string Local = "192.0.2.1";
    public const string Remote = "198.51.100.7";

    public FlowBed(uint maxFlows = 64, uint eventBytes = 4096)
    {
        Maps = new FlowMaps(maxFlows, eventBytes);
        In = new FlowProgram(Maps, FlowHook.Ingress);
        Out = new FlowProgram(Maps, FlowHook.Egress);
        foreach (var map in Maps.All.Concat(Drops.All).Concat(Retransmits.All))
        {
            Twin.Bind(map);
        }

        Table = new FlowTable(Maps, new TwinTime(Twin), Drops, Retransmits);
    }

    public TwinEngine Twin { get; } = new();

    public FlowMaps Maps { get; }

    public KernelEventMaps Drops { get; } = new("drop", 64, 4096);

    public KernelEventMaps Retransmits { get; } = new("rexmit", 64, 4096);

    public FlowProgram In { get; }

    public FlowProgram Out { get; }

    public FlowTable Table { get; }

    public Flow Only => Assert.Single(Table.Read());

    /// <summary>What sweeping has to tell.</summary>
    public static List<FlowRecord> Swept(FlowTable table)
    {
        var ended = new List<FlowRecord>();
        table.Sweep((in FlowRecord flow) => ended.Add(flow));
        return ended;
    }

    public void Receive(PacketBuilder packet, uint gsoSegments = 0) => Run(In, packet.Build(), gsoSegments);

    public void Send(PacketBuilder packet, uint gsoSegments = 0) => Run(Out, packet.Build(), gsoSegments);

    public void Run(FlowProgram program, byte[] frame, uint gsoSegments = 0)
    {
        var result = Twin.Run(program, frame, new TcRunOptions(Interface: 3, GsoSegments: gsoSegments));
        Assert.Equal(Bpf.Programming.TcAction.Unspec, result.Action);
        Assert.Equal(frame, result.Packet.ToArray());
    }

    public void Wait(double milliseconds) => Twin.Environment.Advance(TimeSpan.FromMilliseconds(milliseconds));

    public static PacketBuilder Tcp(bool sent, TcpFlags flags, uint sequence = 1, uint acknowledgment = 1, int bytes = 0, (uint Value, uint Echo)? stamp = null)
    {
        byte[]? options = stamp is var (value, echo) ? [1, 1, 8, 10, .. BigEndian(value), .. BigEndian(echo)] : null;
        return (sent
            ? PacketBuilder.Ethernet().IPv4(Local, Remote).Tcp(40000, 443, flags, sequence, acknowledgment, options: options)
            : PacketBuilder.Ethernet().IPv4(Remote, Local).Tcp(443, 40000, flags, sequence, acknowledgment, options: options)).Payload(bytes);
    }

    public void Dispose() => Twin.Dispose();

    private static byte[] BigEndian(uint value) => [(byte)(value >> 24), (byte)(value >> 16), (byte)(value >> 8), (byte)value];

    private sealed class TwinTime(TwinEngine twin) : TimeProvider
    {
        public override long TimestampFrequency => 1_000_000_000;

        public override long GetTimestamp() => (long)twin.Environment.KtimeNow;
    }
}
