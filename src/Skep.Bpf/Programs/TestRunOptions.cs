namespace Skep.Bpf.Programs;

/// <summary>Surroundings of a test run. Interfaces are those of the caller's network namespace and must exist; 0 leaves them out.</summary>
public sealed record TestRunOptions
{
    /// <summary>
    /// How often to run; the duration is the mean. With more than one run a program that changes the packet sees its own changes, and XDP takes
    /// some 20 ms to set up (<c>bpf_prog_change_xdp</c> waits for a grace period): many different packets go faster one by one.
    /// </summary>
    public int Repeat { get; init; } = 1;

    /// <summary>Interface the packet came in by.</summary>
    public int IngressInterface { get; init; }

    /// <summary>TC: the interface whose hook runs.</summary>
    public int Interface { get; init; }

    /// <summary>XDP: index of the receive queue.</summary>
    public int ReceiveQueue { get; init; }

    /// <summary>TC: mark of the packet.</summary>
    public uint Mark { get; init; }

    /// <summary>TC: segments the packet stands for; 0 for a plain packet.</summary>
    public int GsoSegments { get; init; }

    /// <summary>TC: bytes of payload per segment; 0 for a plain packet.</summary>
    public int GsoSize { get; init; }
}

/// <summary>Result of a test run.</summary>
/// <param name="ReturnValue">What the program returned: its verdict.</param>
/// <param name="Output">The packet after the run.</param>
/// <param name="DurationNanoseconds">Mean duration of a run in nanoseconds.</param>
public sealed record TestRunResult(int ReturnValue, byte[] Output, int DurationNanoseconds);

/// <summary>Result of a test run into a buffer of the caller.</summary>
/// <param name="ReturnValue">What the program returned: its verdict.</param>
/// <param name="OutputLength">Bytes of the packet after the run.</param>
/// <param name="DurationNanoseconds">Mean duration of a run in nanoseconds.</param>
public readonly record struct TestRunOutcome(int ReturnValue, int OutputLength, int DurationNanoseconds);
