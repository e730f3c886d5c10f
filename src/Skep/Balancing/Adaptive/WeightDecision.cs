using Skep.Packets;

namespace Skep.Balancing.Adaptive;

/// <summary>What was decided about a backend.</summary>
public enum DecisionKind : byte
{
    /// <summary>Less traffic: it answers more slowly than the others.</summary>
    Less,
    /// <summary>More traffic: it answers faster than the others, or nothing speaks against its declared weight any more.</summary>
    More,
    /// <summary>No traffic: it fails.</summary>
    Ejected,
    /// <summary>It fails, but too much is out already.</summary>
    Spared,
    /// <summary>Traffic again after an ejection.</summary>
    Returned,
    /// <summary>Its traffic grows from little to its full weight.</summary>
    SlowStart,
    /// <summary>No new connections: dead by its health checks.</summary>
    Dead,
    /// <summary>Alive by its health checks.</summary>
    Alive,
    /// <summary>No new connections: it is drained.</summary>
    Draining,
    /// <summary>Its drain took too long: the connections it had left were cut.</summary>
    Cut,
    /// <summary>It takes new connections again.</summary>
    Undrained,
    /// <summary>Too few are alive: dead backends are used like living ones.</summary>
    Panic,
    /// <summary>Enough are alive again.</summary>
    Calm,
}

/// <summary>A change of what a backend gets, and why.</summary>
/// <param name="Address">Address of the backend; that of the service for what concerns all.</param>
/// <param name="Port">Its port.</param>
/// <param name="Kind">What.</param>
/// <param name="Before">Its share of new connections before, 0 to 1.</param>
/// <param name="After">Its share afterwards.</param>
/// <param name="Reason">Why, for people.</param>
public sealed record WeightDecision(IpAddress Address, ushort Port, DecisionKind Kind, double Before, double After, string Reason);
