namespace Skep.Resources.Reading;

/// <summary>Collects the problems of all files; far too many of them are cut off with a note.</summary>
internal sealed class ProblemList
{
    private const int Limit = 200;
    private readonly List<ResourceProblem> _problems = [];

    public bool HasErrors { get; private set; }

    public IReadOnlyList<ResourceProblem> InOrder =>
        [.. _problems.OrderBy(p => p.File, StringComparer.Ordinal).ThenBy(p => p.Line).ThenBy(p => p.Column)];

    public void Error(ResourceSource at, string id, string message, string advice) => Add(at, id, message, advice, ProblemSeverity.Error);

    public void Warning(ResourceSource at, string id, string message, string advice) => Add(at, id, message, advice, ProblemSeverity.Warning);

    private void Add(ResourceSource at, string id, string message, string advice, ProblemSeverity severity)
    {
        HasErrors |= severity == ProblemSeverity.Error;
        if (_problems.Count < Limit)
        {
            _problems.Add(new ResourceProblem(at.File, at.Line, at.Column, id, message, advice, severity));
        }
        else if (_problems.Count == Limit)
        {
            _problems.Add(new ResourceProblem(
                at.File, at.Line, at.Column, "too-many-problems", $"more than {Limit} problems, the rest is not shown", "mend these first"));
        }
    }
}
