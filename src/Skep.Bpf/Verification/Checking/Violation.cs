namespace Skep.Bpf.Verification.Checking;

/// <summary>Ends the check: the path that is walked breaks a rule.</summary>
internal sealed class Violation(string rule, string detail, Value? value = null, int register = -1) : Exception(detail)
{
    public string Rule { get; } = rule;

    public Value? Value { get; } = value;

    /// <summary>Register whose value is at fault; -1 for none.</summary>
    public int Register { get; } = register;
}
