namespace Skep.Bpf.Programming;

/// <summary>
/// Context of a TC program (<c>struct __sk_buff</c>). In the kernel this is the context pointer;
/// in the process it is a view of a frame in plain memory: a linear part that can be read directly, and the rest behind it.
/// </summary>
[KernelContext("__sk_buff")]
public unsafe partial struct TcContext
{
    private byte* _data;
    private readonly byte* _end;
    private readonly uint _interface;
    private readonly uint _ingressInterface;
    private uint _gsoSegments;
    private uint _gsoSize;
    private ushort _protocol;
    private byte* _linearEnd;
    private uint _mark;

    /// <summary>A context over plain memory.</summary>
    /// <param name="data">First byte of the Ethernet header.</param>
    /// <param name="dataEnd">One past the packet.</param>
    /// <param name="interfaceIndex">Interface whose hook runs.</param>
    /// <param name="ingressInterface">Interface the packet came in by; 0 for locally sent packets.</param>
    /// <param name="gsoSegments">Segments the packet stands for; 0 when it is not a super-packet.</param>
    public TcContext(byte* data, byte* dataEnd, uint interfaceIndex = 1, uint ingressInterface = 0, uint gsoSegments = 0)
    {
        _data = data;
        _linearEnd = _end = dataEnd;
        _interface = interfaceIndex;
        _ingressInterface = ingressInterface;
        _gsoSegments = gsoSegments;
        _protocol = ProtocolOf(data, dataEnd);
    }

    /// <summary>Length of the whole packet in bytes, link header included; the directly readable part may be shorter.</summary>
    public readonly uint Length { [ContextField(0, 4)] get => (uint)(_end - _data); }

    /// <summary>Mark of the packet (<c>skb-&gt;mark</c>).</summary>
    public uint Mark
    {
        [ContextField(8, 4)]
        readonly get => _mark;
        [ContextField(8, 4)]
        set => _mark = value;
    }

    /// <summary>EtherType of the packet, network byte order in memory.</summary>
    public readonly uint Protocol { [ContextField(16, 4)] get => _protocol; }

    /// <summary>Non-zero when the hardware or the stack took a VLAN tag out of the packet.</summary>
    public uint VlanPresent { [ContextField(20, 4)] readonly get; init; }

    /// <summary>Interface the packet came in by.</summary>
    public readonly uint IngressInterface { [ContextField(36, 4)] get => _ingressInterface; }

    /// <summary>Interface whose hook runs.</summary>
    public readonly uint Interface { [ContextField(40, 4)] get => _interface; }

    /// <summary>First byte of the packet, at the Ethernet header.</summary>
    public readonly byte* Data { [ContextField(76, 4, ContextValue.Packet)] get => _data; }

    /// <summary>One past the last directly readable byte.</summary>
    public readonly byte* DataEnd { [ContextField(80, 4, ContextValue.PacketEnd)] get => _linearEnd; }

    /// <summary>Number of segments a super-packet will be cut into; 0 for a plain packet, and for one whose sender did not count them, such as a virtual machine (kernel 5.1).</summary>
    public readonly uint GsoSegments { [ContextField(164, 4)] get => _gsoSegments; }

    /// <summary>Payload of each segment a super-packet will be cut into; 0 for a plain packet (kernel 5.7).</summary>
    public uint GsoSize { [ContextField(176, 4)] readonly get => _gsoSize; init => _gsoSize = value; }

    /// <summary>In the process: bytes that are directly readable, at most <see cref="Length"/>; all unless set. 0 stands for all.</summary>
    public uint LinearLength
    {
        readonly get => (uint)(_linearEnd - _data);
        init => _linearEnd = value == 0 || value > Length ? _end : _data + value;
    }

    /// <summary>In the process: what the checksum field of the transport header holds.</summary>
    public ChecksumState Checksum { readonly get; init; }

    /// <summary>In the process: the sum over the packet from the network header on, for <see cref="ChecksumState.Complete"/> (<c>skb-&gt;csum</c>).</summary>
    public uint CompleteSum { readonly get; set; }

    /// <summary>In the process: where a redirect helper would send the packet.</summary>
    public readonly PacketTarget Target => KernelEnvironment.Current.Target;

    /// <summary>In the process: the whole packet.</summary>
    internal readonly ReadOnlySpan<byte> Packet => new(_data, (int)Length);

    /// <summary>As <c>eth_type_trans</c>: a number below 0x600 is the length of an 802.3 frame, which is Novell's raw one or has an 802.2 header.</summary>
    private static ushort ProtocolOf(byte* data, byte* dataEnd)
    {
        const ushort Raw8023 = 0x0100, Llc8022 = 0x0400; // ETH_P_802_3 and ETH_P_802_2 in network byte order
        if (dataEnd - data < 14)
        {
            return 0;
        }

        return data[12] >= 6 ? *(ushort*)(data + 12)
            : dataEnd - data >= 16 && *(ushort*)(data + 14) == 0xFFFF ? Raw8023
            : Llc8022;
    }

    /// <summary>Cookie of the socket the packet belongs to, 0 when there is none (<c>bpf_get_socket_cookie</c>).</summary>
    [KernelHelper(46)]
    public readonly ulong GetSocketCookie() => 0;

    /// <summary>
    /// The TCP socket of a packet's addresses and ports, or null (<c>bpf_skc_lookup_tcp</c>, kernel 5.2): a connected one, one that begins or ends, else the one that
    /// listens. Of its fields, family and state may be read. It is held until <see cref="Maps.SocketMap{TKey}.Release"/>.
    /// </summary>
    /// <param name="tuple">A <see cref="SocketTuple4"/> or <see cref="SocketTuple6"/>.</param>
    /// <param name="size">Its size, a constant.</param>
    /// <param name="network">Number of a network namespace; all ones for the one of the packet.</param>
    /// <param name="flags">0.</param>
    [KernelHelper(99, Since = "5.2")]
    public readonly SocketContext* FindTcp(void* tuple, uint size, ulong network, ulong flags) => KernelEnvironment.Current.FindTcp(tuple, size, network, flags);
}

/// <summary>What the checksum field of a packet in the stack holds (<c>skb-&gt;ip_summed</c>).</summary>
public enum ChecksumState : byte
{
    /// <summary>A whole checksum that nobody has verified.</summary>
    None = 0,
    /// <summary>A whole checksum, verified.</summary>
    Unnecessary = 1,
    /// <summary>A whole checksum; the device has summed up the packet.</summary>
    Complete = 2,
    /// <summary>The sum of the pseudo-header only: a device will add the rest.</summary>
    Partial = 3,
}
