namespace Skep.Cli.Lab.Load;

/// <summary>What clients saw: answers by service, errors by kind, latency.</summary>
internal sealed class LoadResult
{
    private readonly Lock _gate = new();
    private readonly List<double> _milliseconds = [];
    private readonly SortedDictionary<string, int> _answers = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, int> _errors = new(StringComparer.Ordinal);

    internal int Answered { get; private set; }

    internal int Failed { get; private set; }

    internal void Answer(string service, TimeSpan took)
    {
        lock (_gate)
        {
            Answered++;
            _answers[service] = _answers.GetValueOrDefault(service) + 1;
            _milliseconds.Add(took.TotalMilliseconds);
        }
    }

    internal void Error(string kind)
    {
        lock (_gate)
        {
            Failed++;
            _errors[kind] = _errors.GetValueOrDefault(kind) + 1;
        }
    }

    internal int From(string service)
    {
        lock (_gate)
        {
            return _answers.GetValueOrDefault(service);
        }
    }

    /// <summary>Share of a service in all answers, 0 to 1.</summary>
    internal double Share(string service) => Answered == 0 ? 0 : (double)From(service) / Answered;

    /// <summary>Latency in milliseconds which the given share of the answers did not exceed; 0 when there were none.</summary>
    internal double Quantile(double share)
    {
        lock (_gate)
        {
            if (_milliseconds.Count == 0)
            {
                return 0;
            }

            _milliseconds.Sort();
            return _milliseconds[Math.Min(_milliseconds.Count - 1, (int)(share * _milliseconds.Count))];
        }
    }

    public override string ToString()
    {
        lock (_gate)
        {
            var parts = _answers.Select(a => $"{a.Key} {a.Value}").Concat(_errors.Select(e => $"{e.Key} {e.Value}"));
            return string.Join(", ", parts.DefaultIfEmpty("nothing"));
        }
    }
}
