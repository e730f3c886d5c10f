using Skep.Bpf.Twin.Captures;

namespace Skep.Bpf.Twin.Replay;

/// <summary>What to do with the packets of a replay.</summary>
public sealed record ReplayOptions
{
    /// <summary>Where packets that go on are written, as the program left them; dropped ones are not.</summary>
    public CaptureWriter? Output { get; init; }

    /// <summary>Told of each packet, in order.</summary>
    public ReplayObserver? Observer { get; init; }

    /// <summary>Stop after this many packets.</summary>
    public long MaxPackets { get; init; } = long.MaxValue;
}

/// <summary>Told of a packet of a replay.</summary>
public delegate void ReplayObserver(scoped in ReplayedPacket packet);

/// <summary>One packet of a replay; its bytes are valid during the call.</summary>
public readonly ref struct ReplayedPacket
{
    /// <summary>Number of the packet in the capture, from 1 as Wireshark counts.</summary>
    public long Number { get; init; }

    /// <summary>When it was captured: nanoseconds since 1970 UTC.</summary>
    public ulong Timestamp { get; init; }

    /// <summary>What the program returned.</summary>
    public int Verdict { get; init; }

    /// <summary>The verdict's name, <c>pass</c> or <c>drop</c>.</summary>
    public string VerdictName { get; init; }

    /// <summary>The packet as the program got it, from the Ethernet header on.</summary>
    public ReadOnlySpan<byte> Input { get; init; }

    /// <summary>The packet as the program left it.</summary>
    public ReadOnlySpan<byte> Output { get; init; }

    /// <summary>Whether the capture holds less than was on the wire.</summary>
    public bool IsTruncated { get; init; }
}
