using Skep.Bpf.Twin.Captures;

namespace Skep.Bpf.Twin.Replay;

/// <summary>What came of a replay.</summary>
public sealed record ReplayResult
{
    /// <summary>Name of the engine.</summary>
    public required string Engine { get; init; }

    /// <summary>Packets the program ran on.</summary>
    public long Packets { get; init; }

    /// <summary>Bytes of those packets as captured, Ethernet header included.</summary>
    public long Bytes { get; init; }

    /// <summary>Packets by verdict, by name.</summary>
    public required IReadOnlyDictionary<string, long> Verdicts { get; init; }

    /// <summary>Packets of those run that the capture holds only the beginning of.</summary>
    public long Truncated { get; init; }

    /// <summary>Packets not run because they are shorter than an Ethernet header, or of a link type that has no Ethernet equivalent.</summary>
    public long Unframed { get; init; }

    /// <summary>Packets not run because the engine does not take them: in the kernel those larger than a page, and for TC programs those cut within the IP header.</summary>
    public long Refused { get; init; }

    /// <summary>Timestamp of the first packet, nanoseconds since 1970 UTC.</summary>
    public ulong FirstTimestamp { get; init; }

    /// <summary>Timestamp of the last packet.</summary>
    public ulong LastTimestamp { get; init; }

    /// <summary>Where and how the capture is damaged; everything before that place was replayed. Null when it is whole.</summary>
    public CaptureFormatException? Damage { get; init; }
}
