namespace Skep.Bpf.Asm.Notation;

/// <summary>Leaves the statement that cannot be read; the reader goes on with the next line, so that all errors are reported together.</summary>
internal sealed class AsmLineException(int column, string message) : Exception(message)
{
    public int Column { get; } = column;
}
