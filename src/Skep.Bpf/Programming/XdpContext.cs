namespace Skep.Bpf.Programming;

/// <summary>
/// Context of an XDP program (<c>struct xdp_md</c>). In the kernel this is the context pointer;
/// in the process it is a view of a frame in plain memory: head room, packet, tail room.
/// </summary>
[KernelContext("xdp_md")]
public unsafe struct XdpContext
{
    private readonly byte* _frameStart;
    private readonly byte* _frameEnd;
    private byte* _data;
    private byte* _dataEnd;
    private readonly uint _ingressInterface;
    private readonly uint _rxQueue;

    /// <summary>A context over plain memory.</summary>
    /// <param name="frameStart">First byte of the head room.</param>
    /// <param name="data">First byte of the packet.</param>
    /// <param name="dataEnd">One past the packet.</param>
    /// <param name="frameEnd">One past the tail room.</param>
    /// <param name="ingressInterface">Interface index.</param>
    /// <param name="rxQueue">Receive queue index.</param>
    public XdpContext(byte* frameStart, byte* data, byte* dataEnd, byte* frameEnd, uint ingressInterface = 1, uint rxQueue = 0)
    {
        _frameStart = frameStart;
        _data = data;
        _dataEnd = dataEnd;
        _frameEnd = frameEnd;
        _ingressInterface = ingressInterface;
        _rxQueue = rxQueue;
    }

    /// <summary>First byte of the packet.</summary>
    public readonly byte* Data { [ContextField(0, 4, ContextValue.Packet)] get => _data; }

    /// <summary>One past the last byte of the packet.</summary>
    public readonly byte* DataEnd { [ContextField(4, 4, ContextValue.PacketEnd)] get => _dataEnd; }

    /// <summary>Index of the interface the packet came in by.</summary>
    public readonly uint IngressInterface { [ContextField(12, 4)] get => _ingressInterface; }

    /// <summary>Index of the receive queue the packet came in by.</summary>
    public readonly uint RxQueue { [ContextField(16, 4)] get => _rxQueue; }

    /// <summary>
    /// Moves the start of the packet (<c>bpf_xdp_adjust_head</c>): negative grows into the head room, positive cuts.
    /// Pointers read before are dead afterwards.
    /// </summary>
    /// <returns>0, or a negative errno when there is no room or less than an Ethernet header would remain.</returns>
    [KernelHelper(44, ClobbersPacket = true)]
    public int AdjustHead(int delta)
    {
        // net/core/filter.c bpf_xdp_adjust_head: the kernel keeps sizeof(struct xdp_frame) = 40 bytes of head room for itself.
        var data = _data + delta;
        if (data < _frameStart + 40 || data > _dataEnd - 14)
        {
            return -22;
        }

        _data = data;
        return 0;
    }

    /// <summary>Moves the end of the packet (<c>bpf_xdp_adjust_tail</c>): negative cuts, positive grows into the tail room, zeroed.</summary>
    /// <returns>0, or a negative errno.</returns>
    [KernelHelper(65, ClobbersPacket = true)]
    public int AdjustTail(int delta)
    {
        var end = _dataEnd + delta;
        if (end > _frameEnd || end < _data + 14)
        {
            return -22;
        }

        if (delta > 0)
        {
            new Span<byte>(_dataEnd, delta).Clear();
        }

        _dataEnd = end;
        return 0;
    }

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

    /// <summary>Sends the packet out of another interface when the program returns what this gives (<c>bpf_redirect</c>, kernel 4.14; in bulk since 5.6).</summary>
    /// <param name="interfaceIndex">Index of the interface, in this network namespace. When there is none of it the packet is dropped later on.</param>
    /// <returns><see cref="XdpAction.Redirect"/>.</returns>
    public static XdpAction Redirect(uint interfaceIndex) => (XdpAction)SendTo(interfaceIndex, 0);

    /// <summary>The helper itself: no flag is known to XDP, any aborts.</summary>
    [KernelHelper(23)]
    public static int SendTo(uint interfaceIndex, ulong flags)
    {
        if (flags != 0)
        {
            return (int)XdpAction.Aborted;
        }

        KernelEnvironment.Current.Target = new PacketTarget(PacketTargetKind.Egress, interfaceIndex);
        return (int)XdpAction.Redirect;
    }
}
