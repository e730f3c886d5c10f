using System.Net;
using System.Text.Json;
using Skep.Agent.Api;
using Skep.Agent.Observing;
using Skep.Bpf.Maps;
using Skep.Engine;
using Skep.Flows;
using Skep.Packets;

namespace Skep.Tests.Agent;

/// <summary>A full table is listed in memory for what is shown alone.</summary>
public class FlowListingTests
{
    [Theory]
    [InlineData("Recent")]
    [InlineData("Bytes")]
    [InlineData("Retransmits")]
    public void What_a_listing_allocates_does_not_depend_on_how_many_flows_there_are(string order)
    {
        using var bed = new AgentBed();
        var (platform, twin) = bed.Start();
        using var _ = platform;
        var filter = new Skep.Agent.Api.FlowFilter { Limit = 100, Order = Enum.Parse<FlowOrder>(order), Host = IpPrefix.Parse("10.0.0.0/8") };

        Fill(twin, 0, 1000);
        List(platform, filter);
        var few = AllocatedBy(() => List(platform, filter));
        Fill(twin, 1000, 60_000);
        var many = AllocatedBy(() => Assert.Equal(60_000, List(platform, filter)));

        Assert.True(many < few + 64 * 1024, $"{few} bytes for 1,000 flows, {many} for 60,000");
        Assert.True(many < 512 * 1024, $"{many} bytes for a listing of 100 flows");
    }

    [Fact]
    public async Task The_answer_has_the_flows_of_highest_rank_in_order()
    {
        using var bed = new AgentBed();
        await bed.ServeAsync(async (platform, client) =>
        {
            Fill(Twin(platform), 0, 5000);
            var answer = JsonSerializer.Deserialize(await client.GetStringAsync("/api/v1/flows?order=bytes&limit=3&from=10.0.0.0/8"), ClientJson.Default.FlowsView)!;
            Assert.Equal(5000, answer.Total);
            Assert.Equal([5000ul, 4999, 4998], answer.Flows.Select(f => f.Bytes));
            Assert.Equal(1, JsonDocument.Parse(await client.GetStringAsync("/api/v1/flows?from=10.0.0.7")).RootElement.GetProperty("total").GetInt32());
            Assert.Equal(0, JsonDocument.Parse(await client.GetStringAsync("/api/v1/flows?to=10.0.0.7")).RootElement.GetProperty("total").GetInt32());
            Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/api/v1/flows?interface=none&protocol=tcp&since=2030-01-01T00:00:00Z")).StatusCode);
        });
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_selection_is_what_sorting_everything_would_give(int seed)
    {
        var random = new Random(seed);
        var selection = new FlowSelection();
        for (var round = 0; round < 50; round++)
        {
            var (limit, count) = (random.Next(1, 700), random.Next(0, 1500));
            var bytes = Enumerable.Range(0, count).Select(_ => (ulong)random.Next(500)).ToArray();
            selection.Begin(limit);
            foreach (var b in bytes)
            {
                var entry = new FlowEntry { Sent = new FlowDirection { Bytes = b } };
                selection.Offer(b, new FlowRecord(in entry, null, false));
            }

            selection.End();
            Assert.Equal(bytes.OrderDescending().Take(limit), Enumerable.Range(0, selection.Count).Select(i => selection[i].Bytes));
            Assert.Equal(count, selection.Offered);
        }
    }

    private static int List(Skep.Agent.Platform platform, Skep.Agent.Api.FlowFilter filter)
    {
        using var view = platform.Flows(filter);
        Assert.Equal(filter.Limit, view.Flows.Count(f => f.Protocol == "udp"));
        return view.Total;
    }

    private static long AllocatedBy(Action action)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        action();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    private static TwinDatapath Twin(Skep.Agent.Platform platform) => (TwinDatapath)platform.Datapath;

    // Flow i has i + 1 bytes, from 10.x.x.x to 192.0.2.1.
    private static void Fill(TwinDatapath twin, int from, int to)
    {
        var table = twin.Maps.OfType<LruHashMap<FlowKey, FlowEntry>>().Single();
        for (var i = from; i < to; i++)
        {
            var key = new FlowKey
            {
                Local = IpAddress.Parse("192.0.2.1"),
                Remote = IpAddress.FromBytes([10, (byte)(i >> 16), (byte)(i >> 8), (byte)i]),
                RawPorts = 0x3500_3500,
                Interface = 1,
                Protocol = (uint)IpProtocol.Udp,
            };
            var now = twin.Twin.Environment.KtimeNow;
            table.Set(in key, new FlowEntry { Key = key, FirstSeen = now, LastSeen = now, Received = new FlowDirection { Packets = 1, Bytes = (ulong)i + 1 } });
        }
    }
}
