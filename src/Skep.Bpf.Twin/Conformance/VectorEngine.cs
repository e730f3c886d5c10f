namespace Skep.Bpf.Twin.Conformance;

/// <summary>Something that runs conformance vectors.</summary>
public abstract class VectorEngine
{
    /// <summary>How it is called in reports.</summary>
    public abstract string Name { get; }

    /// <summary>Runs a vector and compares its result.</summary>
    public VectorOutcome Run(ConformanceVector vector)
    {
        ArgumentNullException.ThrowIfNull(vector);
        var result = Execute(vector, out var refusal);
        var status = (vector.Result, result) switch
        {
            (null, null) => VectorStatus.Passed,
            (_, null) => VectorStatus.Refused,
            var (expected, actual) when expected == actual => VectorStatus.Passed,
            _ => VectorStatus.Failed,
        };
        return new VectorOutcome(vector.Name, status, vector.Result, result, refusal);
    }

    /// <summary>Runs it and gives R0; null, with the reason, when the engine refuses the program or gives it up.</summary>
    protected abstract ulong? Execute(ConformanceVector vector, out string? refusal);
}

/// <summary>How a vector went.</summary>
public enum VectorStatus
{
    /// <summary>The result is the expected one, or the program was refused as it must be.</summary>
    Passed,
    /// <summary>The result is another, or the program ran that must be refused.</summary>
    Failed,
    /// <summary>The engine refuses the program.</summary>
    Refused,
    /// <summary>The file cannot be read.</summary>
    Unreadable,
}

/// <summary>How a vector went, and why.</summary>
/// <param name="Name">The vector.</param>
/// <param name="Status">How it went.</param>
/// <param name="Expected">R0 as it should be; null when a refusal is expected.</param>
/// <param name="Actual">R0 as it was; null after a refusal.</param>
/// <param name="Reason">Why it was refused or could not be read.</param>
public sealed record VectorOutcome(string Name, VectorStatus Status, ulong? Expected, ulong? Actual, string? Reason);
