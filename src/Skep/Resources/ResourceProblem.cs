namespace Skep.Resources;

/// <summary>How bad a problem is.</summary>
public enum ProblemSeverity
{
    /// <summary>The resources are applied all the same.</summary>
    Warning,
    /// <summary>Nothing is applied.</summary>
    Error,
}

/// <summary>Something wrong with a resource file, with its place and what to do about it.</summary>
/// <param name="File">File as the user named it.</param>
/// <param name="Line">Line, from 1.</param>
/// <param name="Column">Column, from 1.</param>
/// <param name="Id">Stable name of the rule, for example <c>unknown-field</c>.</param>
/// <param name="Message">What is wrong.</param>
/// <param name="Advice">What to do.</param>
/// <param name="Severity">Whether it prevents the resources from being applied.</param>
public sealed record ResourceProblem(
    string File, int Line, int Column, string Id, string Message, string Advice, ProblemSeverity Severity = ProblemSeverity.Error)
{
    /// <summary><c>file:line:column: id: message: what to do</c>, warnings marked as such.</summary>
    public override string ToString() =>
        $"{File}:{Line}:{Column}: {Id}{(Severity == ProblemSeverity.Warning ? " (warning)" : "")}: {Message}: {Advice}";
}
