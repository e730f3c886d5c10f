using System.Text;
using Skep.Agent.Metrics;

namespace Skep.Tests.Agent;

public class MetricsTests
{
    [Fact]
    public void Every_sample_belongs_to_a_described_family_and_counters_end_in_total()
    {
        using var bed = new AgentBed();
        bed.Write(AgentBed.LoadBalancer());
        var (platform, twin) = bed.Start();
        using var _ = platform;
        AgentBed.Send(twin, "203.0.113.7", "192.0.2.1");
        var writer = new MetricsWriter(openMetrics: false);
        platform.WriteMetrics(writer);
        var lines = Encoding.UTF8.GetString(writer.Finish().Span).Split('\n', StringSplitOptions.RemoveEmptyEntries);

        var types = lines.Where(l => l.StartsWith("# TYPE ", StringComparison.Ordinal)).Select(l => l.Split(' ')).ToDictionary(p => p[2], p => p[3]);
        Assert.Equal(types.Keys, lines.Where(l => l.StartsWith("# HELP ", StringComparison.Ordinal)).Select(l => l.Split(' ')[2]));
        Assert.All(lines.Where(l => l[0] != '#'), l => Assert.Contains(FamilyOf(l.Split('{', ' ')[0], types), types.Keys));
        Assert.All(types, t => Assert.Equal(t.Value == "counter", t.Key.EndsWith("_total", StringComparison.Ordinal)));
        Assert.Contains("skep_backend_weight{load_balancer=\"web\",service=\"192.0.2.10:80/tcp\",backend=\"10.0.0.1:80\"} 1", lines);
    }

    [Fact]
    public void Every_backend_has_its_histograms()
    {
        using var bed = new AgentBed();
        bed.Write(AgentBed.LoadBalancer());
        var (platform, _) = bed.Start();
        using var __ = platform;
        var writer = new MetricsWriter(openMetrics: true);
        platform.WriteMetrics(writer);
        var text = Encoding.UTF8.GetString(writer.Finish().Span);
        foreach (var name in new[] { "skep_backend_handshake_seconds", "skep_backend_response_seconds" })
        {
            Assert.Contains($"{name}_bucket{{load_balancer=\"web\",service=\"192.0.2.10:80/tcp\",backend=\"10.0.0.1:80\",le=\"+Inf\"}} 0\n", text, StringComparison.Ordinal);
            Assert.Contains($"{name}_count{{load_balancer=\"web\",service=\"192.0.2.10:80/tcp\",backend=\"10.0.0.1:80\"}} 0\n", text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Buckets_add_up_to_the_count()
    {
        var writer = new MetricsWriter(openMetrics: true);
        writer.Histogram("skep_times_seconds", "Times.");
        writer.Buckets([1, 0, 2, 0, 0, 4], i => (i + 1) / 2d, 7.5, ("name", "a"));
        Assert.Equal(
            [
                "# HELP skep_times_seconds Times.", "# TYPE skep_times_seconds histogram",
                "skep_times_seconds_bucket{name=\"a\",le=\"0.5\"} 1", "skep_times_seconds_bucket{name=\"a\",le=\"1\"} 1",
                "skep_times_seconds_bucket{name=\"a\",le=\"1.5\"} 3", "skep_times_seconds_bucket{name=\"a\",le=\"+Inf\"} 7",
                "skep_times_seconds_sum{name=\"a\"} 7.5", "skep_times_seconds_count{name=\"a\"} 7", "# EOF", "",
            ],
            Encoding.UTF8.GetString(writer.Finish().Span).Split('\n'));
    }

    [Fact]
    public void OpenMetrics_names_counter_families_without_total_and_has_an_end()
    {
        var writer = new MetricsWriter(openMetrics: true);
        writer.Counter("skep_things_total", "Things\nof \"all\" kinds.");
        writer.Sample(3, ("name", "a\"b\\c\nd"));
        Assert.Equal(
            "# HELP skep_things Things\\nof \\\"all\\\" kinds.\n# TYPE skep_things counter\nskep_things_total{name=\"a\\\"b\\\\c\\nd\"} 3\n# EOF\n",
            Encoding.UTF8.GetString(writer.Finish().Span));
    }

    private static string FamilyOf(string sample, Dictionary<string, string> types) =>
        new[] { "_bucket", "_sum", "_count" }.FirstOrDefault(s => sample.EndsWith(s, StringComparison.Ordinal)) is { } suffix
        && types.GetValueOrDefault(sample[..^suffix.Length]) == "histogram" ? sample[..^suffix.Length] : sample;

    [Fact]
    public void A_counter_without_total_is_a_slip() => Assert.Throws<ArgumentException>(() => new MetricsWriter(false).Counter("skep_things", "Things."));
}
