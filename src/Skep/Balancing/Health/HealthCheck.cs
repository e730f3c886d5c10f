using System.Collections.Immutable;
using System.Net;

namespace Skep.Balancing.Health;

/// <summary>What is done to see whether a backend lives.</summary>
public enum HealthCheckType : byte
{
    /// <summary>A TCP connection is opened.</summary>
    Tcp,
    /// <summary>An HTTP request is answered with an expected status.</summary>
    Http,
    /// <summary>The same over TLS; the certificate is not verified.</summary>
    Https,
    /// <summary>A datagram is answered.</summary>
    Udp,
    /// <summary>A command ends with exit code 0.</summary>
    Exec,
}

/// <summary>How the packets of a check travel.</summary>
public enum CheckThrough : byte
{
    /// <summary>To the backend's own address, by this host's routes.</summary>
    Address,
    /// <summary>With direct return, as those of clients: to the virtual address, in outer headers, answered directly. Kernel 6.6.</summary>
    Tunnel,
}

/// <summary>How the backends of a service are checked. Two that are equal share their results.</summary>
public sealed record HealthCheck
{
    /// <summary>What is done.</summary>
    public HealthCheckType Type { get; init; }

    /// <summary>Port that is asked; null for the backend's own.</summary>
    public ushort? Port { get; init; }

    /// <summary>Path of an HTTP request.</summary>
    public string Path { get; init; } = "/";

    /// <summary>Host that an HTTP request names; null for the address.</summary>
    public string? Host { get; init; }

    /// <summary>Lowest status that counts as alive.</summary>
    public int StatusFrom { get; init; } = 200;

    /// <summary>Highest status that counts as alive.</summary>
    public int StatusTo { get; init; } = 399;

    /// <summary>Text that a UDP check sends.</summary>
    public string Send { get; init; } = "";

    /// <summary>Text that the answer of an HTTP or UDP check contains; null for any.</summary>
    public string? Expect { get; init; }

    /// <summary>Program and arguments of an exec check, one a line; <c>{address}</c> and <c>{port}</c> stand for the backend's.</summary>
    public string Command { get; init; } = "";

    /// <summary>Time between checks, give or take a tenth.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Longest time a check takes.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Checks in a row that make a dead backend alive.</summary>
    public int Healthy { get; init; } = 2;

    /// <summary>Checks in a row that make a living backend dead.</summary>
    public int Unhealthy { get; init; } = 3;

    /// <summary>How packets travel.</summary>
    public CheckThrough Through { get; init; }

    /// <summary>Address that checks come from; null for what the host chooses.</summary>
    public IPAddress? Source { get; init; }

    /// <summary>Program and arguments for a backend.</summary>
    internal ImmutableArray<string> CommandFor(IPEndPoint target) =>
    [
        .. Command.Split('\n').Select(p => p
            .Replace("{address}", target.Address.ToString(), StringComparison.Ordinal)
            .Replace("{port}", target.Port.ToString(System.Globalization.CultureInfo.InvariantCulture), StringComparison.Ordinal)),
    ];
}

/// <summary>What a check found.</summary>
/// <param name="IsAlive">Whether the backend lives.</param>
/// <param name="Reason">How that shows, for people: <c>connected in 0.3 ms</c>, <c>connection refused</c>.</param>
public readonly record struct ProbeResult(bool IsAlive, string Reason)
{
    /// <summary>How long it took until that was known.</summary>
    public TimeSpan Took { get; init; }
}

/// <summary>What the checks of late say about a backend.</summary>
/// <param name="IsAlive">Whether it lives. One that was never checked does.</param>
/// <param name="Reason">The last result.</param>
/// <param name="Checks">Checks so far.</param>
public sealed record HealthState(bool IsAlive, string Reason, long Checks)
{
    // Checks that the mean of their times remembers.
    private const int MostTimed = 8;

    private int _inARow;

    /// <summary>Mean time of the checks of late that passed, in seconds.</summary>
    public double Seconds { get; private init; }

    /// <summary>Checks behind <see cref="Seconds"/>: those that passed since the last that did not, eight at most.</summary>
    public int Timed { get; private init; }

    /// <summary>Not checked yet.</summary>
    public static HealthState Unknown { get; } = new(true, "not checked yet", 0);

    /// <summary>
    /// The state after another check. As many results in a row as the thresholds say turn it over; the very first check counts alone, because nothing is
    /// known before it.
    /// </summary>
    public HealthState After(ProbeResult result, HealthCheck check)
    {
        ArgumentNullException.ThrowIfNull(check);
        var against = result.IsAlive == IsAlive ? 0 : _inARow + 1;
        var turns = against >= (IsAlive ? check.Unhealthy : check.Healthy) || (Checks == 0 && against > 0);
        var timed = result.IsAlive ? Math.Min(Timed + 1, MostTimed) : 0;
        return new HealthState(turns ? result.IsAlive : IsAlive, result.Reason, Checks + 1)
        {
            _inARow = turns ? 0 : against,
            Timed = timed,
            Seconds = timed > 0 ? Seconds + ((result.Took.TotalSeconds - Seconds) / timed) : 0,
        };
    }
}
