namespace Skep.Bpf.Programming;

/// <summary>
/// Context of a TC program (<c>struct __sk_buff</c>). In the kernel this is the context pointer;
/// in the process it is a view of a frame in plain memory.
/// </summary>
[KernelContext("__sk_buff")]
public unsafe struct TcContext
{
    private readonly byte* _data;
    private readonly byte* _dataEnd;
    private readonly uint _interface;
    private readonly uint _ingressInterface;
    private readonly uint _gsoSegments;
    private readonly ushort _protocol;
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
        _dataEnd = dataEnd;
        _interface = interfaceIndex;
        _ingressInterface = ingressInterface;
        _gsoSegments = gsoSegments;
        _protocol = ProtocolOf(data, dataEnd);
    }

    /// <summary>Length of the whole packet in bytes, link header included; the directly readable part may be shorter.</summary>
    public readonly uint Length { [ContextField(0, 4)] get => (uint)(_dataEnd - _data); }

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
    public readonly uint VlanPresent { [ContextField(20, 4)] get => 0; }

    /// <summary>Interface the packet came in by.</summary>
    public readonly uint IngressInterface { [ContextField(36, 4)] get => _ingressInterface; }

    /// <summary>Interface whose hook runs.</summary>
    public readonly uint Interface { [ContextField(40, 4)] get => _interface; }

    /// <summary>First byte of the packet, at the Ethernet header.</summary>
    public readonly byte* Data { [ContextField(76, 4, ContextValue.Packet)] get => _data; }

    /// <summary>One past the last directly readable byte.</summary>
    public readonly byte* DataEnd { [ContextField(80, 4, ContextValue.PacketEnd)] get => _dataEnd; }

    /// <summary>Number of segments a super-packet will be cut into; 0 for a plain packet (kernel 5.1).</summary>
    public readonly uint GsoSegments { [ContextField(164, 4)] get => _gsoSegments; }

    /// <summary>Makes <paramref name="length"/> bytes directly readable (<c>bpf_skb_pull_data</c>). Pointers read before are dead afterwards.</summary>
    /// <returns>0, or a negative errno.</returns>
    [KernelHelper(39, ClobbersPacket = true)]
    public readonly int PullData(uint length) => length <= Length ? 0 : -12;

    /// <summary>Copies bytes out of the packet, wherever they lie (<c>bpf_skb_load_bytes</c>).</summary>
    /// <param name="offset">Offset from the Ethernet header.</param>
    /// <param name="target">Where to write.</param>
    /// <param name="length">Bytes to copy.</param>
    /// <returns>0, or a negative errno.</returns>
    [KernelHelper(26)]
    public readonly int LoadBytes(uint offset, void* target, uint length)
    {
        if ((ulong)offset + length > Length)
        {
            new Span<byte>(target, (int)length).Clear();
            return -14;
        }

        Buffer.MemoryCopy(_data + offset, target, length, length);
        return 0;
    }

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
}
