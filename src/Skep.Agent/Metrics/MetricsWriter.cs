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
