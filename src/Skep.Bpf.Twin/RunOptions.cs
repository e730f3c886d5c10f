using Skep.Bpf.Programming;

namespace Skep.Bpf.Twin;

/// <summary>Where a packet comes from, for an XDP program.</summary>
/// <param name="IngressInterface">Interface index; 0 stands for 1, the loopback device, as in <c>BPF_PROG_TEST_RUN</c>.</param>
/// <param name="RxQueue">Receive queue index.</param>
public readonly record struct XdpRunOptions(uint IngressInterface = 0, uint RxQueue = 0);

/// <summary>Where a packet comes from or goes to, for a TC program.</summary>
/// <param name="Interface">Interface whose hook runs; 0 stands for 1, the loopback device, as in <c>BPF_PROG_TEST_RUN</c>.</param>
/// <param name="IngressInterface">Interface the packet came in by; 0 for packets sent by this host.</param>
/// <param name="Mark">Mark of the packet.</param>
/// <param name="GsoSegments">Segments the packet stands for; 0 when it is not a super-packet.</param>
/// <param name="GsoSize">Payload of each of these; 0 when it is not a super-packet.</param>
/// <param name="LinearLength">Bytes that are directly readable at first; 0 for all.</param>
/// <param name="Checksum">What the checksum field of the transport header holds.</param>
/// <param name="CompleteSum">The device's sum from the network header on, for <see cref="ChecksumState.Complete"/>.</param>
/// <param name="VlanPresent">Whether a VLAN tag was taken out of the packet.</param>
public readonly record struct TcRunOptions(
    uint Interface = 0,
    uint IngressInterface = 0,
    uint Mark = 0,
    uint GsoSegments = 0,
    uint GsoSize = 0,
    uint LinearLength = 0,
    ChecksumState Checksum = ChecksumState.None,
    uint CompleteSum = 0,
    bool VlanPresent = false);

/// <summary>What an XDP program did with a packet.</summary>
/// <param name="action">The verdict.</param>
/// <param name="packet">The packet as the program left it.</param>
public readonly ref struct XdpResult(XdpAction action, ReadOnlySpan<byte> packet)
{
    /// <summary>The verdict.</summary>
    public XdpAction Action { get; } = action;

    /// <summary>The packet as the program left it; valid until the twin runs the next one.</summary>
    public ReadOnlySpan<byte> Packet { get; } = packet;
}

/// <summary>What a TC program did with a packet.</summary>
/// <param name="action">The verdict.</param>
/// <param name="context">The context as the program left it.</param>
public readonly ref struct TcResult(TcAction action, scoped in TcContext context)
{
    /// <summary>The verdict.</summary>
    public TcAction Action { get; } = action;

    /// <summary>The packet's mark afterwards.</summary>
    public uint Mark { get; } = context.Mark;

    /// <summary>The packet as the program left it; valid until the twin runs the next one.</summary>
    public ReadOnlySpan<byte> Packet { get; } = context.Packet;

    /// <summary>Bytes that were directly readable at the end.</summary>
    public uint LinearLength { get; } = context.LinearLength;

    /// <summary>The device's sum afterwards, for <see cref="ChecksumState.Complete"/>.</summary>
    public uint CompleteSum { get; } = context.CompleteSum;

    /// <summary>Where the packet goes when <see cref="Action"/> is <see cref="TcAction.Redirect"/>.</summary>
    public PacketTarget Target { get; } = context.Target;
}
