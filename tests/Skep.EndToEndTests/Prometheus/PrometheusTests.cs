using System.Text.Json;
using Skep.EndToEndTests.Surroundings;

namespace Skep.EndToEndTests.Prometheus;

/// <summary>The metrics as the real reader takes them: Debian's prometheus and its linter.</summary>
public class PrometheusTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    [KernelFact]
    public async Task A_real_Prometheus_scrapes_the_agent()
    {
        RequireTool("prometheus");
        using var agent = await AgentUnderTest.StartAsync("scrape");
        var folder = Directory.CreateTempSubdirectory("skep-prometheus-").FullName;
        try
        {
            var configuration = Path.Combine(folder, "prometheus.yml");
            await File.WriteAllTextAsync(configuration, $$"""
                global: {scrape_interval: 1s}
                scrape_configs:
                  - job_name: skep
                    static_configs: [{targets: ["{{agent.Address}}"]}]

                """);
            var address = $"127.0.0.1:{AgentUnderTest.FreePort()}";
            using var prometheus = ChildProcess.Start(
                "prometheus",
                [$"--config.file={configuration}", $"--storage.tsdb.path={folder}/data", $"--web.listen-address={address}", "--log.level=warn"], folder);
            using var client = new HttpClient { BaseAddress = new Uri($"http://{address}") };

            await Eventually.HoldsAsync(async () => await ValuesAsync(client, "up{job=\"skep\"}") is ["1", ..], s_limit, () => prometheus.Output);
            var names = await NamesAsync(client, "{job=\"skep\",__name__=~\"skep_.*\"}");
            Assert.Contains(names, n => n.StartsWith("skep_", StringComparison.Ordinal));

            prometheus.Signal(System.Runtime.InteropServices.PosixSignal.SIGTERM);
            await prometheus.EndsAsync(s_limit);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [KernelFact]
    public async Task The_metrics_pass_promtool()
    {
        RequireTool("promtool");
        using var agent = await AgentUnderTest.StartAsync("promtool");
        using var client = new HttpClient();
        var metrics = await client.GetStringAsync($"http://{agent.Address}/metrics");

        using var promtool = ChildProcess.StartWith(metrics, "promtool", ["check", "metrics"]);
        var code = await promtool.EndsAsync(s_limit);

        Assert.True(code == 0 && promtool.Output.Trim().Length == 0, promtool.Output);
    }

    private static void RequireTool(string name) => Kernel.Require(
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(f => File.Exists(Path.Combine(f, name))), $"'{name}' is not installed (apt-get install prometheus)");

    private static async Task<string[]> ValuesAsync(HttpClient client, string query) =>
        [.. (await QueryAsync(client, query)).Select(r => r.GetProperty("value")[1].GetString()!)];

    private static async Task<string[]> NamesAsync(HttpClient client, string query) =>
        [.. (await QueryAsync(client, query)).Select(r => r.GetProperty("metric").GetProperty("__name__").GetString()!)];

    private static async Task<JsonElement[]> QueryAsync(HttpClient client, string query)
    {
        var answer = JsonDocument.Parse(await client.GetStringAsync($"/api/v1/query?query={Uri.EscapeDataString(query)}"));
        return [.. answer.RootElement.GetProperty("data").GetProperty("result").EnumerateArray()];
    }
}
