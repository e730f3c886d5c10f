namespace Skep.Bpf.Programming;

/// <summary>
/// A packet whose fields are looked for (<c>struct __sk_buff</c>, of which flow dissectors see little).
/// In the kernel this is the context pointer; in the process its fields are plain memory.
/// </summary>
[KernelContext("__sk_buff")]
public unsafe struct FlowDissectorContext
{
    /// <summary>First byte, at the network header.</summary>
    public byte* Data { [ContextField(76, 4, ContextValue.Packet)] get; init; }

    /// <summary>One past the last byte that can be read directly.</summary>
    public byte* DataEnd { [ContextField(80, 4, ContextValue.PacketEnd)] get; init; }

    /// <summary>Where the fields that were found go; never null.</summary>
    public FlowKeys* FlowKeys { [ContextField(144, 8)] get; init; }

    /// <summary>Copies bytes out of the packet, wherever they lie (<c>bpf_skb_load_bytes</c>).</summary>
    /// <param name="offset">Offset from the network header.</param>
    /// <param name="target">Where to write.</param>
    /// <param name="length">Bytes to copy.</param>
    /// <returns>0, or a negative errno.</returns>
    [KernelHelper(26)]
    public readonly int LoadBytes(uint offset, void* target, uint length)
    {
        if ((ulong)offset + length > (ulong)(DataEnd - Data))
        {
            new Span<byte>(target, (int)length).Clear();
            return -14;
        }

        Buffer.MemoryCopy(Data + offset, target, length, length);
        return 0;
    }
}
