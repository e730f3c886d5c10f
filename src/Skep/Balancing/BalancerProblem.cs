namespace Skep.Balancing;

/// <summary>Why a part of a model is not, or not fully, in effect.</summary>
public enum BalancerProblemKind
{
    /// <summary>Two services want the same address, port and protocol; the first one has it.</summary>
    OverlappingServices,
    /// <summary>A backend's family differs from its service's; it is left out.</summary>
    FamilyMismatch,
    /// <summary>A backend is listed twice; the first one counts.</summary>
    DuplicateBackend,
    /// <summary>No backend takes connections: new ones are refused.</summary>
    NoBackend,
    /// <summary>The service map is full; the service is left out.</summary>
    TooManyServices,
    /// <summary>The backend map is full; the backend is left out.</summary>
    TooManyBackends,
    /// <summary>The rows of the ring map are taken; the service is left out.</summary>
    TooManySlots,
    /// <summary>There is no route to a backend with direct return; packets for it are dropped.</summary>
    NoRoute,
    /// <summary>An address and protocol has more ranges of ports than fit; the service is left out.</summary>
    TooManyRanges,
    /// <summary>There are more source ranges than fit; the service is left out.</summary>
    TooManySources,
    /// <summary>A QUIC server id is another backend's too, or of another length than theirs; it names nobody.</summary>
    BadServerId,
    /// <summary>The kernel refused to write; the service stays as it was.</summary>
    WriteFailed,
}

/// <summary>A part of a model that is not, or not fully, in effect.</summary>
/// <param name="Kind">Why.</param>
/// <param name="Service">The service.</param>
/// <param name="Message">A sentence for people.</param>
public sealed record BalancerProblem(BalancerProblemKind Kind, ServiceModel Service, string Message);
