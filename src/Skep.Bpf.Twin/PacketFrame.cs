using Skep.Bpf.Programming;

namespace Skep.Bpf.Twin;

/// <summary>
/// The memory a packet is processed in, reused from packet to packet. The layout is that of <c>BPF_PROG_TEST_RUN</c>:
/// <code>
/// 256 bytes head room | packet | tail room up to 3776 bytes from the start   (page of 4096 less 320 for skb_shared_info)
/// </code>
/// A packet of more than 3520 bytes gets a larger frame without tail room.
/// </summary>
internal sealed unsafe class PacketFrame
{
    private const int HeadRoom = 256; // XDP_PACKET_HEADROOM
    private const int LinearEnd = 4096 - 320;

    private PinnedMemory _memory = new(4096);
    private int _usedHead;

    public XdpContext Load(ReadOnlySpan<byte> packet, uint ingressInterface, uint rxQueue)
    {
        var data = Copy(packet);
        var end = data + packet.Length;
        return new XdpContext(data - HeadRoom, data, end, _memory.Address + Math.Max(LinearEnd, HeadRoom + packet.Length), ingressInterface, rxQueue);
    }

    public TcContext LoadTc(ReadOnlySpan<byte> packet, in TcRunOptions options)
    {
        var data = Copy(packet);
        var context = new TcContext(
            data, data + packet.Length, options.Interface == 0 ? 1 : options.Interface, options.IngressInterface, options.GsoSegments)
        {
            GsoSize = options.GsoSize,
            LinearLength = options.LinearLength,
            Checksum = options.Checksum,
            CompleteSum = options.CompleteSum,
            VlanPresent = options.VlanPresent ? 1u : 0,
        };
        if (options.Mark != 0)
        {
            context.Mark = options.Mark;
        }

        return context;
    }

    /// <summary>The packet as it is now. Head room that the program used is handed out zeroed to the next one, as fresh frames are.</summary>
    public ReadOnlySpan<byte> Unload(scoped in XdpContext context)
    {
        _usedHead = (int)Math.Max(0, _memory.Address + HeadRoom - context.Data);
        return new ReadOnlySpan<byte>(context.Data, (int)(context.DataEnd - context.Data));
    }

    private byte* Copy(ReadOnlySpan<byte> packet)
    {
        if (packet.Length > _memory.Length - HeadRoom)
        {
            _memory = new PinnedMemory((ulong)HeadRoom + (uint)packet.Length);
        }
        else if (_usedHead != 0)
        {
            new Span<byte>(_memory.Address + HeadRoom - _usedHead, _usedHead).Clear();
        }

        _usedHead = 0;
        var data = _memory.Address + HeadRoom;
        packet.CopyTo(new Span<byte>(data, packet.Length));
        return data;
    }
}
