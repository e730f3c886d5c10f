using Skep.Benchmarks;
using Skep.Benchmarks.Balancing;

var rows = new List<BenchmarkRow>();
if (args.Contains("--namespaces"))
{
    // Real traffic, which needs all processors of a machine: 7 rounds of 3 seconds take a quarter of an hour; three of adaptive weights five minutes.
    if (args.Contains("adaptive"))
    {
        AdaptiveTraffic.Run(rows, Number("--rounds", 3), Number("--load", 25) / 100.0);
    }
    else
    {
        Namespaces.Run(rows, Number("--rounds", 7), Number("--seconds", 3), Text("--metric"), Text("--way"));
    }

    Publish();
    return 0;
}

ThreadClock.Pin();
if (args.Contains("--scale"))
{
    RingScale.Measure(rows);
    Publish();
    return 0;
}

new DirectCases(rows, args).Measure();
if (args.Contains("--first") || args.Contains("--case"))
{
    Publish();
    return 0;
}

foreach (var measure in new Action<List<BenchmarkRow>>[]
{
    RingShares.Measure,
    RingMoves.Measure,
    RingTimes.Measure,
    RingScale.Measure,
    AdaptiveQueues.Measure,
})
{
    measure(rows);
}

Publish();
return 0;

void Publish()
{
    BenchmarkRow.Publish(rows, args);
    Page.Update(rows, args);
}

string? Text(string name) => Array.IndexOf(args, name) is var at and >= 0 ? args[at + 1] : null;

int Number(string name, int otherwise) => Text(name) is { } text ? int.Parse(text, System.Globalization.CultureInfo.InvariantCulture) : otherwise;
