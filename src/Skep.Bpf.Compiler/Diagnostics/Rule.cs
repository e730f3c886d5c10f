namespace Skep.Bpf.Compiler.Diagnostics;

/// <summary>Numbers of the rules a kernel method can break.</summary>
internal static class Rule
{
    public const string Unsupported = "SKEP0001";
    public const string MutableState = "SKEP0002";
    public const string Reference = "SKEP0014";
    public const string Exception = "SKEP0003";
    public const string Recursion = "SKEP0004";
    public const string NotFrozen = "SKEP0005";
    public const string Layout = "SKEP0006";
    public const string Stack = "SKEP0007";
    public const string KernelField = "SKEP0008";
    public const string NotConstant = "SKEP0009";
    public const string NullReference = "SKEP0010";
    public const string TooLarge = "SKEP0011";
    public const string StalePointer = "SKEP0012";
    public const string WrongKind = "SKEP0013";
    public const string InstructionSet = "SKEP0015";
    public const string Call = "SKEP0020";
    public const string TailCall = "SKEP0021";
    public const string OutOfRange = "SKEP0030";
    public const string InvalidIl = "SKEP0031";
    public const string Internal = "SKEP0099";
}
