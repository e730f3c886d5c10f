namespace Skep.Cli.Lab;

/// <summary>One line of the lab's report.</summary>
/// <param name="Row">Short name of the row it belongs to, as <c>--only</c> takes it.</param>
/// <param name="Claim">What is shown, as a statement.</param>
/// <param name="Expected">What should be measured, tolerance included.</param>
/// <param name="Measured">What was measured.</param>
/// <param name="Passed">Whether the one agrees with the other.</param>
internal sealed record LabCheck(string Row, string Claim, string Expected, string Measured, bool Passed);
