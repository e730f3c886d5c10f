using Skep.Agent.Configuration;

namespace Skep.Tests.Agent;

/// <summary>How long drains have lasted, over restarts, boots and clocks that are set.</summary>
public sealed class DrainStoreTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("skep-drains-").FullName;
    private readonly Clock _clock = new();
    private readonly Clock _wall = new() { Seconds = 1_000_000 };

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData(0)]
    [InlineData(-100_000)]
    [InlineData(100_000)]
    public void Within_a_boot_a_drain_lasts_by_the_clock_that_nobody_sets(int jump)
    {
        Assert.Equal((TimeSpan.Zero, false), Open("boot").Begin("vip", "backend"));
        Pass(10);
        _wall.Seconds += jump;
        Assert.Equal((TimeSpan.FromSeconds(10), false), Open("boot").Begin("vip", "backend"));
    }

    [Theory]
    [InlineData(50, 50)]
    [InlineData(-100_000, 0)]
    public void Over_a_boot_it_lasts_by_the_clock_on_the_wall_and_begins_anew_where_that_stands_before_its_beginning(int passed, int lasted)
    {
        Open("boot").Begin("vip", "backend");
        _clock.Seconds = 3;
        _wall.Seconds += passed;
        Assert.Equal((TimeSpan.FromSeconds(lasted), false), Open("other").Begin("vip", "backend"));

        // From here on by this boot's clock again.
        Pass(7);
        _wall.Seconds += 100_000;
        Assert.Equal((TimeSpan.FromSeconds(lasted + 7), false), Open("other").Begin("vip", "backend"));
    }

    [Fact]
    public void What_is_over_stays_over_and_what_nobody_asks_for_is_forgotten()
    {
        var store = Open("boot");
        store.Begin("vip", "one");
        store.Begin("vip", "two");
        store.End("vip", "one");
        Assert.True(Open("boot").Begin("vip", "one").IsOver);
        Open("boot").Keep((_, backend) => backend == "two");
        Pass(5);
        Assert.Equal((TimeSpan.Zero, false), Open("boot").Begin("vip", "one"));
        Assert.Equal((TimeSpan.FromSeconds(5), false), Open("boot").Begin("vip", "two"));
    }

    [Fact]
    public void A_damaged_file_and_a_disk_that_takes_nothing_keep_no_drain_from_going_on()
    {
        var path = Path.Combine(_directory, "drains.json");
        File.WriteAllText(path, "[{");
        var store = new DrainStore(path, _clock, _wall, "boot");
        Assert.Contains("begin anew", store.Load(), StringComparison.Ordinal);

        var nowhere = new DrainStore(Path.Combine(path, "under", "a", "file"), _clock, _wall, "boot");
        nowhere.Begin("vip", "backend");
        Pass(4);
        Assert.Equal(TimeSpan.FromSeconds(4), nowhere.Begin("vip", "backend").Lasted);
        Assert.NotNull(nowhere.NotKept);
    }

    private DrainStore Open(string boot)
    {
        var store = new DrainStore(Path.Combine(_directory, "state", "drains.json"), _clock, _wall, boot);
        Assert.Null(store.Load());
        return store;
    }

    private void Pass(int seconds)
    {
        _clock.Seconds += seconds;
        _wall.Seconds += seconds;
    }

    private sealed class Clock : TimeProvider
    {
        public long Seconds { get; set; } = 500;

        public override long TimestampFrequency => 1;

        public override long GetTimestamp() => Seconds;

        public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddSeconds(Seconds);
    }
}
