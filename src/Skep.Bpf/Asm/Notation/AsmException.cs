namespace Skep.Bpf.Asm.Notation;

/// <summary>A place in assembler text that cannot be read.</summary>
/// <param name="Line">Line, from 1.</param>
/// <param name="Column">Column, from 1.</param>
/// <param name="Message">What was expected, and what stands there.</param>
public readonly record struct AsmError(int Line, int Column, string Message);

/// <summary>Assembler text has errors; all of them are named, in the order of their lines.</summary>
public sealed class AsmException : FormatException
{
    internal AsmException(string file, IReadOnlyList<AsmError> errors)
        : base(string.Join('\n', errors.Select(e => FormattableString.Invariant($"{file}({e.Line},{e.Column}): {e.Message}")))) => Errors = errors;

    /// <summary>The errors, one at least.</summary>
    public IReadOnlyList<AsmError> Errors { get; }
}
