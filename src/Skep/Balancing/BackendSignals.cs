namespace Skep.Balancing;

/// <summary>
/// What packets of connections told about a backend on one CPU. Layout: twelve times 8. Times are in ticks of 1,024 ns.
/// Requests that wait now are <see cref="Requests"/> less <see cref="Answers"/>, <see cref="Unanswered"/> and <see cref="Abandoned"/>.
/// </summary>
public struct BackendSignals
{
    /// <summary>TCP connections begun by SYN.</summary>
    public ulong Opened;

    /// <summary>Connections that ended: FIN of both sides or RST.</summary>
    public ulong Closed;

    /// <summary>SYN answered by SYN-ACK; with direct return, connections whose client went on after SYN.</summary>
    public ulong Handshakes;

    /// <summary>Sum of the times between the two.</summary>
    public ulong HandshakeTime;

    /// <summary>Measured requests: the first payload of a client, and in a connection that goes on at most one a second.</summary>
    public ulong Requests;

    /// <summary>Measured requests that got a first byte of an answer.</summary>
    public ulong Answers;

    /// <summary>Sum of the times between the two.</summary>
    public ulong ResponseTime;

    /// <summary>Measured requests after which the backend ended the connection without an answer.</summary>
    public ulong Unanswered;

    /// <summary>Measured requests whose client went away first.</summary>
    public ulong Abandoned;

    /// <summary>SYN answered by RST; UDP answered by "port unreachable".</summary>
    public ulong Refused;

    /// <summary>Connections that the backend reset later.</summary>
    public ulong Resets;

    /// <summary>SYN that came again because no answer did.</summary>
    public ulong SynRepeats;

    /// <summary>Nanoseconds of a tick.</summary>
    public const int TickNanoseconds = 1024;
}

/// <summary>Two histograms for each backend, side by side in one array of counts.</summary>
public static class BackendHistograms
{
    /// <summary>
    /// Buckets of a histogram: bucket n counts times below 2^n ticks that no earlier one counts; the last counts all that are longer, from 2.2 s on.
    /// </summary>
    public const int Buckets = 32;

    /// <summary>Counts of a backend: those of handshakes, then those of responses.</summary>
    public const int PerBackend = 2 * Buckets;

    /// <summary>Upper bound of a bucket in seconds; infinite for the last.</summary>
    public static double UpperSeconds(int bucket) =>
        bucket >= Buckets - 1 ? double.PositiveInfinity : Math.ScaleB(BackendSignals.TickNanoseconds * 1e-9, bucket);
}
