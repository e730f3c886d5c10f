using System.Net;
using System.Text;
using System.Text.Json;
using Skep.Agent.Api;

namespace Skep.Tests.Agent;

public class ApiTests
{
    [Fact]
    public async Task Views_are_JSON_and_changes_take_effect()
    {
        using var bed = new AgentBed();
        await bed.ServeAsync(async (_, client) =>
        {
            Assert.Equal("ok\n", await client.GetStringAsync("/readyz"));
            var status = JsonSerializer.Deserialize(await client.GetStringAsync("/api/v1/status"), ClientJson.Default.StatusView)!;
            Assert.Equal(("twin", true, 1), (status.Engine, status.Ready, status.Resources.RateLimits));

            var applied = await client.PostAsync("/api/v1/resources?file=web.yaml", new StringContent(AgentBed.LoadBalancer()));
            Assert.Equal(HttpStatusCode.OK, applied.StatusCode);
            Assert.Contains("\"10.0.0.1\"", await client.GetStringAsync("/api/v1/backends"));
            var said = JsonSerializer.Deserialize(await client.GetStringAsync("/api/v1/explain?client=203.0.113.7:40000&service=192.0.2.10:80"), ClientJson.Default.ExplanationView)!;
            Assert.Equal(("web", "10.0.0.1:80", false), (said.LoadBalancer, said.Backend, said.IsKnown));
            Assert.Equal("[]", await client.GetStringAsync("/api/v1/decisions?after=0"));
            Assert.Equal(HttpStatusCode.NoContent, (await client.DeleteAsync("/api/v1/resources")).StatusCode);
            Assert.Equal("[]", await client.GetStringAsync("/api/v1/backends"));
            foreach (var path in new[] { "flows", "drops", "services", "blocks", "resources", "features" })
            {
                using var answer = JsonDocument.Parse(await client.GetStringAsync("/api/v1/" + path));
            }
        });
    }

    [Theory]
    [InlineData("GET", "/nope", null, 404)]
    [InlineData("PUT", "/api/v1/status", null, 405)]
    [InlineData("GET", "/api/v1/flows?port=99999", null, 400)]
    [InlineData("GET", "/api/v1/flows?host=%1b%5b31m", null, 400)]
    [InlineData("GET", "/api/v1/flows?order=0", null, 400)]
    [InlineData("GET", "/api/v1/flows?protocol=tpc", null, 400)]
    [InlineData("GET", "/api/v1/decisions?after=yesterday", null, 400)]
    [InlineData("GET", "/api/v1/explain", null, 400)]
    [InlineData("GET", "/api/v1/explain?client=1.2.3.4:5&service=1.2.3.4", null, 400)]
    [InlineData("GET", "/api/v1/explain?client=1.2.3.4:5&service=1.2.3.4:80&protocol=icmp", null, 400)]
    [InlineData("POST", "/api/v1/blocks", "{bad", 400)]
    [InlineData("POST", "/api/v1/blocks", "{\"prefix\":\"1.2.3.4\",\"zork\":1}", 400)]
    [InlineData("POST", "/api/v1/blocks", "{\"prefix\":\"1.2.3.4/8\"}", 400)]
    [InlineData("POST", "/api/v1/blocks", "{\"prefix\":\"1.2.3.4\",\"for\":\"soon\"}", 400)]
    [InlineData("POST", "/api/v1/blocks", "{\"prefix\":\"1.2.3.4\",\"reason\":\"a\\u001b[31m\"}", 400)]
    [InlineData("POST", "/api/v1/blocks", "null", 400)]
    [InlineData("POST", "/api/v1/blocks", "{\"prefix\":{\"a\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}}", 400)]
    [InlineData("POST", "/api/v1/blocks", "{\"prefix\":\"1.2.3.4\",\"interfaces\":[\"../../etc\"]}", 400)]
    [InlineData("POST", "/api/v1/blocks", "{\"prefix\":\"1.2.3.4\",\"interfaces\":[null]}", 400)]
    [InlineData("DELETE", "/api/v1/blocks", null, 400)]
    [InlineData("DELETE", "/api/v1/blocks?prefix=9.9.9.9", null, 404)]
    [InlineData("POST", "/api/v1/resources", "kind: Nope", 422)]
    [InlineData("POST", "/api/v1/resources?dryRun=maybe", "a: b", 400)]
    [InlineData("POST", "/api/v1/resources", "[[[[[[[[[[[[[[[[[[[[[[[[[[", 422)]
    public async Task Hostile_input_is_refused_with_a_problem(string method, string path, string? body, int expected)
    {
        using var bed = new AgentBed();
        bed.Write("# none");
        await bed.ServeAsync(async (_, client) =>
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), path);
            request.Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json");
            var response = await client.SendAsync(request);
            Assert.Equal(expected, (int)response.StatusCode);
            Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
            Assert.Equal("ok\n", await client.GetStringAsync("/healthz"));
        });
    }

    [Fact]
    public async Task A_file_that_is_no_capture_is_refused_before_anything_starts()
    {
        using var bed = new AgentBed();
        var refusal = await Assert.ThrowsAsync<Skep.Agent.AgentException>(() => Skep.Agent.AgentRunner.RunAsync(
            bed.Options with { Pcap = bed.ResourceFile }, (_, _) => Task.CompletedTask, TestContext.Current.CancellationToken));
        Assert.Contains(bed.ResourceFile, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Huge_bodies_are_refused()
    {
        using var bed = new AgentBed();
        await bed.ServeAsync(async (_, client) =>
        {
            var block = await client.PostAsync("/api/v1/blocks", new StringContent(new string('x', 20_000), Encoding.UTF8, "application/json"));
            Assert.Equal(HttpStatusCode.RequestEntityTooLarge, block.StatusCode);
        });
    }

    [Fact]
    public async Task The_TCP_port_takes_no_changes()
    {
        using var bed = new AgentBed();
        using var probe = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        var address = probe.LocalEndpoint.ToString()!;
        probe.Stop();
        await Skep.Agent.AgentRunner.RunAsync(
            bed.Options with { Listen = address },
            async (_, _) =>
            {
                using var client = new HttpClient { BaseAddress = new Uri($"http://{address}") };
                Assert.Equal(HttpStatusCode.Forbidden, (await client.PostAsync("/api/v1/resources", new StringContent(""))).StatusCode);
                Assert.Equal("ok\n", await client.GetStringAsync("/healthz"));

                // DNS rebinding: a page's own name, made to point at the loopback address.
                using var rebound = new HttpRequestMessage(HttpMethod.Get, "/api/v1/flows") { Headers = { Host = "evil.example" } };
                Assert.Equal(HttpStatusCode.MisdirectedRequest, (await client.SendAsync(rebound)).StatusCode);
                using var local = new HttpRequestMessage(HttpMethod.Get, "/api/v1/flows") { Headers = { Host = "localhost:9180" } };
                Assert.Equal(HttpStatusCode.OK, (await client.SendAsync(local)).StatusCode);
            },
            TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Only_one_agent_owns_an_instance_and_only_its_user_may_connect()
    {
        using var bed = new AgentBed();
        await bed.ServeAsync((_, _) =>
        {
            Assert.Throws<Skep.Agent.AgentException>(() => Skep.Agent.InstanceLock.Take(bed.Options.Paths));
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(bed.Options.Paths.Socket));
            return Task.CompletedTask;
        });
        Assert.False(File.Exists(bed.Options.Paths.Socket));
    }
}
