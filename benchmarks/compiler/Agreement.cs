using Skep.Benchmarks.Compiler.Suite;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Interpretation;
using Skep.Bpf.Twin.Replay;

namespace Skep.Benchmarks.Compiler;

/// <summary>
/// Proves before anything is measured that all contenders do the same: on every packet in the bytecode interpreter and in the kernel they give the same
/// verdict and bytes, and leave the same in the maps. Each has maps of its own, and the thread stays on one CPU. The interpreter counts the instructions meanwhile.
/// </summary>
internal static class Agreement
{
    /// <summary>Instructions executed for each sample, for each contender.</summary>
    /// <exception cref="InvalidOperationException">Two of them disagree.</exception>
    internal static long[][] Check(Func<Algorithm> create, IReadOnlyList<Contender> contenders)
    {
        var interpreted = contenders.Select(c => Interpret(create(), c)).ToArray();
        var loaded = contenders.Select(c => RunInKernel(create(), c)).ToArray();
        for (var c = 1; c < contenders.Count; c++)
        {
            Compare(create(), $"{contenders[c].Name} in the interpreter", interpreted[0], interpreted[c]);
            Compare(create(), $"{contenders[c].Name} in the kernel", loaded[0], loaded[c]);
        }

        if (create().TimedMaps.Count == 0)
        {
            Compare(create(), "the interpreter and the kernel", interpreted[0], loaded[0]);
        }

        return [.. interpreted.Select(static i => i.Executed)];
    }

    private static Trace Interpret(Algorithm algorithm, Contender contender)
    {
        using var twin = new TwinEngine();
        twin.Bind(algorithm);
        algorithm.Fill();
        var interpreter = new BytecodeInterpreter(contender.Compile(algorithm), twin);
        var outcomes = new List<string>();
        var executed = new List<long>();
        foreach (var sample in algorithm.Samples)
        {
            twin.Environment.KtimeNow += sample.AdvanceNanoseconds;
            var result = interpreter.RunXdp(sample.Packet);
            outcomes.Add($"{result.ReturnValue} {Convert.ToHexString(result.Packet)}");
            executed.Add(result.ExecutedInstructions);
        }

        return new Trace(outcomes, Dump(algorithm, new HashSet<string>()), [.. executed]);
    }

    private static Trace RunInKernel(Algorithm algorithm, Contender contender)
    {
        using var program = contender.Load(algorithm);
        var maps = ProgramGraph.Maps(algorithm);
        try
        {
            algorithm.Fill();
            var outcomes = new List<string>();
            foreach (var sample in algorithm.Samples)
            {
                var result = program.TestRun(sample.Packet);
                outcomes.Add($"{result.ReturnValue} {Convert.ToHexString(result.Output)}");
            }

            return new Trace(outcomes, Dump(algorithm, algorithm.TimedMaps), []);
        }
        finally
        {
            foreach (var map in maps)
            {
                map.Dispose();
            }
        }
    }

    private static string Dump(Algorithm algorithm, IReadOnlySet<string> without) =>
        string.Join('\n', ProgramGraph.Maps(algorithm).Where(m => !without.Contains(m.Name)).Select(m => $"{m.Name}: {Contents(m)}"));

    /// <summary>Of the values per CPU those that are not zero: on which CPU a run was is chance, that all were on one is not.</summary>
    private static string Contents(BpfMap map)
    {
        var entries = MapDump.ToJson(map)["entries"]!.AsArray();
        return map.Kind is not (MapKind.PerCpuArray or MapKind.PerCpuHash or MapKind.LruPerCpuHash)
            ? entries.ToJsonString()
            : string.Join(' ', entries.Select(static e =>
                $"{e!["key"]!.ToJsonString()}={string.Join(' ', e["values"]!.AsArray().Select(static v => v!.ToJsonString()).Where(static v => v.AsSpan().ContainsAnyInRange('1', '9')))}"));
    }

    private static void Compare(Algorithm algorithm, string which, Trace a, Trace b)
    {
        for (var i = 0; i < a.Outcomes.Count; i++)
        {
            if (a.Outcomes[i] != b.Outcomes[i])
            {
                throw new InvalidOperationException($"{algorithm.Name}, '{algorithm.Samples[i].Name}', {which}: they disagree:\n{a.Outcomes[i]}\n{b.Outcomes[i]}");
            }
        }

        if (a.Maps != b.Maps)
        {
            throw new InvalidOperationException($"{algorithm.Name}, {which}: the maps differ:\n{a.Maps}\n{b.Maps}");
        }
    }

    private sealed record Trace(IReadOnlyList<string> Outcomes, string Maps, long[] Executed);
}
