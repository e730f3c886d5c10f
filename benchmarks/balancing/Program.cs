using Skep.Benchmarks;
using Skep.Benchmarks.Balancing;

ThreadClock.Pin();
var rows = new List<BenchmarkRow>();
foreach (var measure in new Action<List<BenchmarkRow>>[]
{
    RingShares.Measure,
    RingMoves.Measure,
    RingTimes.Measure,
    RingScale.Measure,
})
{
    measure(rows);
}

BenchmarkRow.Publish(rows, args);
return 0;
