using System.Globalization;
using System.Text;

namespace Skep.Benchmarks.Compiler;

/// <summary>The page for people, written of the rows.</summary>
internal static class Page
{
    private const string Head = """
        # The compiler against clang

        Written by `./bench compiler --json FILE --page docs/benchmarks/compiler.md`; do not edit.

        Twelve algorithms, each written by us once in C# and once in C with the same checks, maps and helpers ([benchmarks/compiler/Suite](../../benchmarks/compiler/Suite)).
        C# is compiled by Skep, C by clang-14 and clang-19 with `-O2 -mcpu=v3`; the baseline of a row is the better of the two in it, and a ratio below 1 is better for Skep.
        Before anything is measured, all three must give the same verdicts, bytes and map contents on all packets, in the bytecode interpreter and in the kernel.

        - **instructions**: slots of eight bytes.
        - **instructions executed**: counted by the bytecode interpreter over all packets of the algorithm, main paths and rare ones; exact, and the same on every machine.
        - **instructions the verifier walks**: as the kernel reports them after loading; exact for a kernel version.
        - **time per run**: CPU time of the thread around `BPF_PROG_TEST_RUN` with repetitions, mean over the packets that take the same path each time; contenders by turns in two
          rounds of 60,000 runs, of which the shorter counts. All are loaded anew 48 times, since where code lies in memory counts, by chance: the medians are shown, the range
          is that of the ratio over the loadings without the tenth at each end, and each half of the loadings decides for the other which clang is the better one.
          The last metric is the same without what an empty program costs, measured in every loading too. That is ten times what the shortest programs take:
          where a row shows less than ten nanoseconds, most of its range is chance, and equal code does not give exactly 1 there.


        """;

    internal static string Of(IReadOnlyList<BenchmarkRow> rows)
    {
        var text = new StringBuilder(Head);
        text.Append("## Geometric means of the ratios\n\n| metric | ratio |\n| --- | ---: |\n");
        foreach (var row in rows.Where(static r => r.Case == "geometric mean"))
        {
            text.Append(CultureInfo.InvariantCulture, $"| {row.Metric} | {row.Ours:0.000} |\n");
        }

        foreach (var metric in rows.Where(static r => r.Case != "geometric mean").GroupBy(static r => (r.Metric, r.Unit)))
        {
            var hasSpread = metric.Any(static r => r.Spread is not null);
            text.Append(CultureInfo.InvariantCulture, $"\n## {char.ToUpperInvariant(metric.Key.Metric[0])}{metric.Key.Metric[1..]}, {metric.Key.Unit}\n\n");
            text.Append($"| algorithm | Skep | clang | which | ratio |{(hasSpread ? " range |" : "")}\n| --- | ---: | ---: | --- | ---: |{(hasSpread ? " --- |" : "")}\n");
            foreach (var row in metric)
            {
                text.Append(CultureInfo.InvariantCulture, $"| {row.Case} | {row.Ours:#,0.##} | {row.Baseline:#,0.##} | {row.BaselineName} | {row.Ours / row.Baseline:0.00} |");
                text.Append(row.Spread is [var least, var most] ? string.Create(CultureInfo.InvariantCulture, $" {least:0.00} to {most:0.00} |\n") : "\n");
            }
        }

        return text.ToString();
    }
}
