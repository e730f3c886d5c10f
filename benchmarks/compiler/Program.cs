using Skep.Benchmarks;
using Skep.Benchmarks.Compiler;
using Skep.Benchmarks.Compiler.Suite;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

// Our compiler against clang -O2 -mcpu=v3 on the same algorithms, each written by us once in C# and once in C. The baseline of every row is the
// better of the two clangs in it.
//   --json FILE     the rows
//   --page FILE     the page for people, of the same rows
//   --only NAME     one algorithm
//   --counts        without the times
//   --self          against ourselves, to see what the measurement does to equal code
//   --listings DIR  the code of all contenders, to be read side by side
Func<Algorithm>[] suite =
[
    static () => new PacketCounter(), static () => new PortFilter(), static () => new LpmBlockList(), static () => new TokenBucket(), static () => new SynCookie(),
    static () => new Balancer(), static () => new Conntrack(), static () => new FlowAccounting(), static () => new DnsName(), static () => new DfaMatcher(),
    static () => new Reno(), static () => new DecisionTree(),
];
Contender[] contenders =
    [Contender.Ours, .. args.Contains("--self") ? [Contender.Ours, Contender.Ours] : new[] { Contender.Clang("clang-14"), Contender.Clang("clang-19") }];
var only = Option("--only");
var listings = Option("--listings");
var rows = new List<BenchmarkRow>();
ThreadClock.Pin();
foreach (var create in suite.Where(c => only is null || c().Name == only))
{
    var name = create().Name;
    var executed = Agreement.Check(create, contenders);
    Add(name, "instructions", "count", i => Loaded(create, contenders[i], static p => p.Spec!.Instructions.Count));
    Add(name, "instructions executed", "count", i => executed[i].Sum());
    Add(name, "instructions the verifier walks", "count", i => Loaded(create, contenders[i], static p => p.VerifiedInstructions));
    if (listings is not null)
    {
        Listing.Write(listings, create, contenders, executed);
    }

    if (!args.Contains("--counts"))
    {
        using var timing = new Timing(create, contenders);
        AddTimes(name, timing.Measure());
    }
}

foreach (var metric in rows.Select(static r => (r.Metric, r.Unit)).Distinct().ToArray())
{
    var ratios = rows.Where(r => r.Metric == metric.Metric).Select(static r => r.Ours / r.Baseline!.Value).ToArray();
    rows.Add(new("geometric mean", metric.Metric, metric.Unit, Math.Exp(ratios.Average(Math.Log)), 1, "best of clang-14 and clang-19"));
}

BenchmarkRow.Publish(rows, args);
if (Option("--page") is { } page)
{
    File.WriteAllText(page, Page.Of(rows));
}

return 0;

string? Option(string name) => Array.IndexOf(args, name) is >= 0 and var i ? args[i + 1] : null;

void Add(string name, string metric, string unit, Func<int, double> figure)
{
    var (best, by) = Enumerable.Range(1, contenders.Length - 1).Select(i => (Figure: figure(i), contenders[i].Name)).Min();
    rows.Add(new(name, metric, unit, figure(0), best, by));
}

// Each half of the loadings decides for the other which clang is the better one: the better of two chances would flatter it. The figures are the
// medians over all loadings, and the spread is that of the ratio.
void AddTimes(string name, double[][] places)
{
    var clangs = new[] { Better(places.Where(static (_, n) => n % 2 != 0)), Better(places.Where(static (_, n) => n % 2 == 0)) };
    var pairs = places.Select((p, n) => (Ours: p[0], Clang: p[clangs[n % 2]], Empty: p[^1])).ToArray();
    var by = string.Join(" and ", clangs.Distinct().Select(c => contenders[c].Name).Order());
    Add("time per run", [.. pairs.Select(static p => (p.Ours, p.Clang))]);
    Add("time per run, without that of an empty run", [.. pairs.Select(static p => (p.Ours - p.Empty, p.Clang - p.Empty))]);

    int Better(IEnumerable<double[]> half) => Enumerable.Range(1, contenders.Length - 1).MinBy(i => Median(half.Select(p => p[i])));

    void Add(string metric, (double Ours, double Clang)[] times)
    {
        var ratios = times.Select(static t => t.Ours / t.Clang).Order().ToArray();
        rows.Add(new(
            name, metric, "ns", Median(times.Select(static t => t.Ours)), Median(times.Select(static t => t.Clang)), by,
            [Math.Round(ratios[ratios.Length / 10], 3), Math.Round(ratios[^(1 + (ratios.Length / 10))], 3)]));
    }
}

static double Median(IEnumerable<double> values)
{
    var sorted = values.Order().ToArray();
    return sorted[sorted.Length / 2];
}

static double Loaded(Func<Algorithm> create, Contender contender, Func<LoadedProgram, double> figure)
{
    var algorithm = create();
    using var program = contender.Load(algorithm);
    var result = figure(program);
    foreach (var map in ProgramGraph.Maps(algorithm))
    {
        map.Dispose();
    }

    return result;
}
