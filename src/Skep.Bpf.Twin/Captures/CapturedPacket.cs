namespace Skep.Bpf.Twin.Captures;

/// <summary>One packet of a capture. Its bytes are valid until the next one is read.</summary>
public readonly ref struct CapturedPacket
{
    /// <summary>When it was captured: nanoseconds since 1970 UTC; 0 when the file does not say (pcapng simple packet blocks).</summary>
    public ulong Timestamp { get; init; }

    /// <summary>The captured bytes, from the link header on.</summary>
    public ReadOnlySpan<byte> Data { get; init; }

    /// <summary>Bytes the packet had on the wire.</summary>
    public uint OriginalLength { get; init; }

    /// <summary>What the bytes begin with.</summary>
    public CaptureLinkType LinkType { get; init; }

    /// <summary>Number of the interface within the capture, from 0.</summary>
    public uint Interface { get; init; }

    /// <summary>Whether the capture holds less than was on the wire (snaplen).</summary>
    public bool IsTruncated => OriginalLength > (uint)Data.Length;
}
