namespace Skep.Bpf.Twin.Conformance;

/// <summary>A file of a conformance vector is damaged: the message names file and line.</summary>
public sealed class VectorFormatException : FormatException
{
    internal VectorFormatException(string file, int line, string problem)
        : base(FormattableString.Invariant($"{file}({line}): {problem}"))
    {
    }
}
