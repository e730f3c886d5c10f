using System.Runtime.CompilerServices;
using Skep.Balancing.Adaptive;
using Skep.Balancing.Health;
using Skep.Resources;

namespace Skep.Tests.Resources;

public class ResourceFileTests
{
    private static string CasesDirectory => Path.Combine(AppContext.BaseDirectory, "Resources", "cases");

    public static TheoryData<string> Cases => [.. Directory.GetDirectories(CasesDirectory).Select(d => Path.GetFileName(d)!).Order()];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Problems_of_a_directory_are_reported_all_at_once_with_place_and_advice(string name)
    {
        var directory = Path.Combine(CasesDirectory, name);
        var loaded = ResourceLoader.Load(directory);
        var actual = string.Concat(loaded.Problems.Select(p => p with { File = Path.GetFileName(p.File) } + "\n")).Replace(directory + "/", "", StringComparison.Ordinal);
        var golden = Path.Combine(directory, "problems.txt");
        if (Environment.GetEnvironmentVariable("SKEP_WRITE_GOLDEN") == "1")
        {
            File.WriteAllText(Path.Combine(SourceDirectory(), "cases", name, "problems.txt"), actual);
        }
        else
        {
            Assert.Equal(File.ReadAllText(golden), actual);
        }

        Assert.Equal(loaded.Problems.Any(p => p.Severity == ProblemSeverity.Error), loaded.Set is null);
    }

    [Fact]
    public void A_valid_file_becomes_the_model()
    {
        var set = ResourceLoader.Load(Path.Combine(CasesDirectory, "valid", "edge.yaml")).Set!;

        var web = Assert.Single(set.LoadBalancers);
        Assert.Equal(["eth1", "eth2"], web.Interfaces);
        Assert.Equal(["192.0.2.10", "2001:db8::10"], web.Addresses.Select(a => a.ToString()));
        Assert.Equal([new(80, TransportProtocol.TCP, 8080), new(53, TransportProtocol.UDP, 53)], web.Ports);
        Assert.Equal([(3, null), (1, (ushort?)9090), (1, null)], web.Backends.Select(b => (b.Weight, b.Port)));
        Assert.Equal("edge", web.Labels["team"]);
        Assert.Equal((true, "/user.slice", EdgeHook.Auto), (web.FromThisHost, web.Cgroup, web.Hook));
        var blocks = Assert.Single(set.BlockLists).Entries;
        Assert.Equal(["203.0.113.7/32", "198.51.100.0/24", "2001:db8:bad::/48"], blocks.Select(e => e.Prefix.ToString()));
        Assert.Equal(new DateTimeOffset(2030, 1, 31, 18, 0, 0, TimeSpan.Zero), blocks[2].Until);
        Assert.Equal((1000u, 2000u), set.RateLimits.Select(r => (r.PacketsPerSecond, r.Burst)).Single());
    }

    [Fact]
    public void The_examples_of_the_documentation_have_no_problems()
    {
        var text = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Resources", "balancing-weights.md"));
        var blocks = text.Split("```yaml\n").Skip(1).Select(b => b[..b.IndexOf("```", StringComparison.Ordinal)]).ToArray();
        Assert.Equal(4, blocks.Length);
        var loaded = ResourceLoader.Parse([.. blocks.Select((b, i) => new ResourceText($"example{i}.yaml", b))]);
        Assert.Empty(loaded.Problems);
        var balancers = loaded.Set!.LoadBalancers.ToDictionary(b => b.Name);
        Assert.Equal((0.05, 0.3, 10d), (balancers["api"].Policy.Adaptive!.Floor, balancers["api"].Policy.Outliers!.ErrorShare, balancers["api"].Policy.Outliers!.LatencyFactor));
        Assert.Equal(TimeSpan.FromSeconds(10), balancers["shop"].Policy.SlowStart);
        Assert.Equal((HealthCheckType.Http, "/healthz", TimeSpan.FromSeconds(2)), (balancers["shop"].HealthCheck!.Type, balancers["shop"].HealthCheck!.Path, balancers["shop"].HealthCheck!.Interval));
        Assert.Equal((WhenAllDead.All, 0.3), (balancers["names"].Policy.WhenAllDead, balancers["names"].Policy.PanicThreshold));
        Assert.StartsWith("dig\n+tries=1", balancers["names"].HealthCheck!.Command, StringComparison.Ordinal);
        Assert.Equal((0.05, "a"), (balancers["site"].Policy.CanaryShare, balancers["site"].Policy.PreferredZone));
        Assert.Equal([("a", false, null), ("b", false, null), ("a", true, null), ("a", false, TimeSpan.FromMinutes(10))],
            balancers["site"].Backends.Select(b => (b.Zone, b.Canary, b.DrainFor)));
    }

    [Fact]
    public void The_sizes_that_the_page_gives_are_those_of_an_agent_that_is_told_none()
    {
        var text = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Resources", "agent.md"));
        var block = text.Split("```yaml\n")[1];
        var loaded = ResourceLoader.Parse(new ResourceText("tables.yaml", block[..block.IndexOf("```", StringComparison.Ordinal)]));
        Assert.Empty(loaded.Problems);
        var sizes = loaded.Set!.TableSizes!;
        Assert.All(
            typeof(TableSizes).GetProperties(System.Reflection.BindingFlags.Public | System.Reflection.BindingFlags.Instance | System.Reflection.BindingFlags.DeclaredOnly).Where(p => p.PropertyType == typeof(uint?)),
            p => Assert.NotNull(p.GetValue(sizes)));
        Assert.Equal(new Skep.Edge.EdgeOptions(), sizes.Apply(new Skep.Edge.EdgeOptions()));
    }

    [Fact]
    public void The_examples_of_direct_return_have_no_problems()
    {
        var text = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Resources", "balancing.md"));
        var blocks = text.Split("```yaml\n").Skip(1).Select(b => b[..b.IndexOf("```", StringComparison.Ordinal)]).ToArray();
        Assert.True(blocks.Length > 2);
        Assert.All(blocks, (block, i) => Assert.Empty(ResourceLoader.Parse(new ResourceText($"example{i}.yaml", block)).Problems));
    }

    [Fact]
    public void The_example_that_is_shipped_has_no_problems()
    {
        var loaded = ResourceLoader.Load(Path.Combine(AppContext.BaseDirectory, "Resources", "edge.example.yaml"));
        Assert.Empty(loaded.Problems);
        Assert.Equal(3, loaded.Set!.Count);
    }

    [Fact]
    public void A_missing_path_and_bytes_that_are_not_text_are_problems_not_exceptions()
    {
        var binary = Path.GetTempFileName();
        File.WriteAllBytes(binary, [0xff, 0xfe, 0x00, 0xc3, 0x28]);
        try
        {
            var loaded = ResourceLoader.Load("/no/such/place", binary);
            Assert.Equal(["bad-encoding", "no-such-file"], loaded.Problems.Select(p => p.Id).Order());
        }
        finally
        {
            File.Delete(binary);
        }
    }

    [Fact]
    public void A_hundred_thousand_blocked_addresses_are_read()
    {
        var text = "apiVersion: skep.dev/v1\nkind: BlockList\nmetadata: {name: many}\nspec:\n  interfaces: [eth1]\n  entries:\n"
            + string.Concat(Enumerable.Range(0, 100_000).Select(i => $"  - 10.{i >> 16}.{(i >> 8) & 255}.{i & 255}\n"));
        Assert.Equal(100_000, ResourceLoader.Parse(new ResourceText("many.yaml", text)).Set!.BlockLists[0].Entries.Length);
    }

    [Fact]
    public void Text_cut_off_anywhere_gives_a_model_or_problems_but_never_an_exception()
    {
        var text = File.ReadAllText(Path.Combine(CasesDirectory, "valid", "edge.yaml"));
        for (var length = 0; length < text.Length; length++)
        {
            var loaded = ResourceLoader.Parse(new ResourceText("cut.yaml", text[..length]));
            Assert.True(loaded.Set is not null || !loaded.Problems.IsEmpty);
        }
    }

    [Fact]
    public void Random_damage_gives_a_model_or_problems_but_never_an_exception()
    {
        var text = File.ReadAllText(Path.Combine(CasesDirectory, "valid", "edge.yaml"));
        var random = new Random(7);
        const string spice = "[]{}:,-#&*!|>'\"%@`?\n\t 0a\\\0\u2028";
        for (var round = 0; round < 3000; round++)
        {
            var damaged = text.ToCharArray();
            for (var i = 0; i < 4; i++)
            {
                damaged[random.Next(damaged.Length)] = spice[random.Next(spice.Length)];
            }

            var loaded = ResourceLoader.Parse(new ResourceText("damaged.yaml", new string(damaged)));
            Assert.True(loaded.Set is not null || !loaded.Problems.IsEmpty);
        }
    }

    private static string SourceDirectory([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
