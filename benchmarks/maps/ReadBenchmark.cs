using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;

namespace Skep.Benchmarks.Maps;

/// <summary>What BenchmarkDotNet measures of <see cref="MapReads"/>, as rows.</summary>
internal static class ReadBenchmark
{
    private const string Raw = "the same system calls alone";

    internal static IEnumerable<BenchmarkRow> Run()
    {
        var config = ManualConfig.CreateEmpty()
            .AddJob(Job.ShortRun.WithToolchain(InProcessEmitToolchain.Instance))
            .AddDiagnoser(MemoryDiagnoser.Default)
            .AddColumnProvider(DefaultColumnProviders.Instance)
            .AddLogger(new ConsoleLogger(unicodeSupport: false, ConsoleLogger.CreateGrayScheme()))
            .WithOptions(ConfigOptions.DisableLogFile);
        var summary = BenchmarkRunner.Run<MapReads>(config);
        double Time(string method) => summary.Reports.Single(r => r.BenchmarkCase.Descriptor.WorkloadMethod.Name == method).ResultStatistics!.Median;
        double Bytes(string method) => summary.Reports.Single(r => r.BenchmarkCase.Descriptor.WorkloadMethod.Name == method)
            .GcStats.GetBytesAllocatedPerOperation(summary.Reports[0].BenchmarkCase) ?? double.NaN;
        foreach (var (name, ours, baseline, entries) in new[]
        {
            ("read one entry", nameof(MapReads.ReadOne), nameof(MapReads.RawReadOne), 1),
            ("read 10000 entries in batches", nameof(MapReads.ReadBatches), nameof(MapReads.RawReadBatches), MapReads.Entries),
            ("write 10000 entries in batches", nameof(MapReads.WriteBatch), nameof(MapReads.RawWriteBatch), MapReads.Entries),
            ("walk 10000 entries key by key", nameof(MapReads.WalkKeys), nameof(MapReads.RawWalkKeys), MapReads.Entries),
            ("read 10000 per-CPU entries", nameof(MapReads.ReadPerCpu), nameof(MapReads.RawReadPerCpu), MapReads.Entries),
        })
        {
            yield return new(name, "time per entry", "ns", Time(ours) / entries, Time(baseline) / entries, Raw);
            yield return new(name, "allocated per call", "B", Bytes(ours), null, null);
        }
    }
}
