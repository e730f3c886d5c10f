using System.Buffers;
using System.Globalization;
using System.Text;

namespace Skep.Agent.Metrics;

/// <summary>
/// Writes the text format that Prometheus scrapes: 0.0.4, or OpenMetrics 1.0 when asked for, which names counter families without
/// <c>_total</c> and ends with <c># EOF</c>.
/// </summary>
internal sealed class MetricsWriter(bool openMetrics)
{
    private readonly ArrayBufferWriter<byte> _bytes = new(16 * 1024);
    private string _name = "";

    public const string PrometheusType = "text/plain; version=0.0.4; charset=utf-8";
    public const string OpenMetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// <summary>Begins a counter; <paramref name="name"/> ends in <c>_total</c>.</summary>
    public void Counter(string name, string help)
    {
        if (!name.EndsWith("_total", StringComparison.Ordinal))
        {
            throw new ArgumentException($"The name of a counter ends in _total, '{name}' does not.", nameof(name));
        }

        Family(name, openMetrics ? name[..^"_total".Length] : name, "counter", help);
    }

    /// <summary>Begins a gauge.</summary>
    public void Gauge(string name, string help) => Family(name, name, "gauge", help);

    /// <summary>Begins a histogram; its samples are written by <see cref="Buckets"/>.</summary>
    public void Histogram(string name, string help) => Family(name, name, "histogram", help);

    /// <summary>The samples of one histogram of the family begun last: what each bucket counts, its upper bounds, the sum of all values.</summary>
    /// <param name="counts">Values per bucket, not added up; the last bucket has no bound. Buckets behind the last that counts are left out but for that.</param>
    /// <param name="upper">Upper bound of a bucket.</param>
    /// <param name="sum">Sum of all values.</param>
    /// <param name="labels">Labels.</param>
    public void Buckets(ReadOnlySpan<ulong> counts, Func<int, double> upper, double sum, params ReadOnlySpan<(string Name, string Value)> labels)
    {
        var name = _name;
        (string, string)[] withBound = [.. labels, ("le", "+Inf")];
        var used = counts[..^1].LastIndexOfAnyExcept(0ul);
        var total = 0ul;
        _name = name + "_bucket";
        for (var i = 0; i < counts.Length - 1; i++)
        {
            total += counts[i];
            if (i <= used)
            {
                withBound[^1] = ("le", upper(i).ToString("R", CultureInfo.InvariantCulture));
                Sample(total, withBound);
            }
        }

        total += counts[^1];
        withBound[^1] = ("le", "+Inf");
        Sample(total, withBound);
        _name = name + "_sum";
        Sample(sum, labels);
        _name = name + "_count";
        Sample(total, labels);
        _name = name;
    }

    /// <summary>A sample of the family begun last.</summary>
    public void Sample(double value, params ReadOnlySpan<(string Name, string Value)> labels)
    {
        Write(_name);
        for (var i = 0; i < labels.Length; i++)
        {
            Write(i == 0 ? "{" : ",");
            Write(labels[i].Name);
            Write("=\"");
            Write(Escape(labels[i].Value, quotes: true));
            Write("\"");
        }

        Write(labels.Length > 0 ? "} " : " ");
        Write(value.ToString("R", CultureInfo.InvariantCulture));
        Write("\n");
    }

    /// <summary>Everything written; call it once, at the end.</summary>
    public ReadOnlyMemory<byte> Finish()
    {
        if (openMetrics)
        {
            Write("# EOF\n");
        }

        return _bytes.WrittenMemory;
    }

    private void Family(string sample, string family, string type, string help)
    {
        _name = sample;
        Write($"# HELP {family} {Escape(help, quotes: openMetrics)}\n# TYPE {family} {type}\n");
    }

    private void Write(string text) => Encoding.UTF8.GetBytes(text, _bytes);

    private static string Escape(string text, bool quotes)
    {
        if (text.AsSpan().IndexOfAny('\\', '\n', '"') < 0)
        {
            return text;
        }

        var escaped = text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
        return quotes ? escaped.Replace("\"", "\\\"", StringComparison.Ordinal) : escaped;
    }
}
