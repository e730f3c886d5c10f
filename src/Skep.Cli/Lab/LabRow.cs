namespace Skep.Cli.Lab;

/// <summary>One thing the lab shows on real traffic.</summary>
internal abstract class LabRow
{
    /// <summary>One word, as <c>--only</c> takes it.</summary>
    internal abstract string Name { get; }

    /// <summary>What is shown.</summary>
    internal abstract string Title { get; }

    /// <summary>Makes the traffic and writes down what was expected and what was measured.</summary>
    internal abstract Task RunAsync(LabContext lab, LabChecks checks, CancellationToken cancellation);
}
