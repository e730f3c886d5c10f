namespace Skep.Bpf.Compiler;

/// <summary>A method cannot become a kernel program; the message is a line such as <c>Edge.cs(12,9): error SKEP0003: what; what to write instead</c>.</summary>
public sealed class CompileException : Exception
{
    /// <summary>An error at a position.</summary>
    public CompileException(string id, string text, SourcePosition position)
        : base($"{position}: error {id}: {text}")
    {
        Id = id;
        Text = text;
        Position = position;
    }

    /// <summary>Number of the rule, for example <c>SKEP0003</c>; the documentation has a paragraph on each.</summary>
    public string Id { get; }

    /// <summary>What is wrong and what to write instead, without file and number.</summary>
    public string Text { get; }

    /// <summary>Where in the C# source; unknown for code without debug information.</summary>
    public SourcePosition Position { get; }
}

/// <summary>A position in C# source.</summary>
/// <param name="File">Path of the file as the compiler of the assembly recorded it, or the method's name when there is no debug information.</param>
/// <param name="Line">Line from 1, or 0 when unknown.</param>
/// <param name="Column">Column from 1, or 0 when unknown.</param>
public readonly record struct SourcePosition(string File, int Line, int Column)
{
    /// <inheritdoc/>
    public override string ToString() => Line == 0 ? File : $"{File}({Line},{Column})";
}
