using Skep.Benchmarks.Compiler.Suite;
using Skep.Bpf;
using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Benchmarks.Compiler;

/// <summary>
/// Nanoseconds of CPU time of the thread per run in the kernel. The contenders take turns in rounds of two milliseconds, of which the shortest counts,
/// since what else the machine does can only add. All are loaded anew several times: where code lies in memory is worth a tenth by chance, and the
/// spread says how much.
/// </summary>
internal sealed class Timing : IDisposable
{
    private const int Places = 16;
    private const int Rounds = 3;
    private const long RoundNanoseconds = 2_000_000;
    private const int FewestRuns = 20_000;

    private static readonly byte[] s_output = new byte[4096];
    private readonly Func<Algorithm> _create;
    private readonly IReadOnlyList<Contender> _contenders;
    private readonly Restoring? _restoring;

    internal Timing(Func<Algorithm> create, IReadOnlyList<Contender> contenders)
    {
        (_create, _contenders) = (create, contenders);
        _restoring = create().RewritesPacket ? new Restoring() : null;
    }

    /// <summary>For each loading, for each contender, the mean over the timed samples; without what restoring the packet costs.</summary>
    internal double[][] Measure() => [.. Enumerable.Range(0, Places).Select(_ => MeasurePlace())];

    public void Dispose() => _restoring?.Dispose();

    private double[] MeasurePlace()
    {
        var algorithms = _contenders.Select(_ => _create()).ToArray();
        var programs = _contenders.Select((c, i) => Load(c.Compile(algorithms[i]))).ToList();
        try
        {
            // What a run costs that does nothing, with the restoring and without.
            programs.Add(Load(Nothing));
            programs.Add(ProgramLoader.Load(Nothing));
            foreach (var algorithm in algorithms)
            {
                algorithm.Fill();
            }

            var samples = algorithms[0].Samples;
            var sums = new double[_contenders.Count];
            foreach (var sample in samples)
            {
                _restoring?.Use(sample.Packet);
                if (!sample.IsTimed)
                {
                    programs.ForEach(p => p.TestRun(sample.Packet));
                    continue;
                }

                var best = Fastest(programs[..sums.Length], sample.Packet);
                for (var i = 0; i < best.Length; i++)
                {
                    sums[i] += best[i];
                }
            }

            var timed = samples.Count(static s => s.IsTimed);
            var nothing = Fastest(programs[sums.Length..], samples[0].Packet);
            var restore = _restoring is null ? 0 : nothing[0] - nothing[1];
            return [.. sums.Select(s => (s / timed) - restore), nothing[1]];
        }
        finally
        {
            programs.ForEach(static p => p.Dispose());
            foreach (var map in algorithms.SelectMany(static a => ProgramGraph.Maps(a)))
            {
                map.Dispose();
            }
        }
    }

    private static ProgramSpec Nothing =>
        new Assembler().Move(Register.R0, (int)XdpAction.Pass).Exit().Build("nothing", ProgramType.Xdp, AttachType.Xdp);

    private LoadedProgram Load(ProgramSpec spec) => ProgramLoader.Load(_restoring?.Around(spec) ?? spec);

    private static double[] Fastest(List<LoadedProgram> programs, byte[] packet)
    {
        // Few runs would measure the system call, which installs the program anew each time.
        var repeat = (int)Math.Max(RoundNanoseconds / Nanoseconds(programs[0], packet, FewestRuns), FewestRuns);
        var best = new double[programs.Count];
        Array.Fill(best, double.MaxValue);
        for (var round = 0; round < Rounds; round++)
        {
            for (var turn = 0; turn < programs.Count; turn++)
            {
                // Each is first once.
                var i = (turn + round) % programs.Count;
                best[i] = Math.Min(best[i], Nanoseconds(programs[i], packet, repeat));
            }
        }

        return best;
    }

    private static double Nanoseconds(LoadedProgram program, byte[] packet, int repeat)
    {
        while (true)
        {
            try
            {
                var started = ThreadClock.Nanoseconds;
                program.TestRun(packet, s_output, new TestRunOptions { Repeat = repeat });
                return (ThreadClock.Nanoseconds - started) / (double)repeat;
            }
            catch (BpfException e) when (e.ErrorNumber == Errno.Interrupted)
            {
                // A signal of the runtime ended the loop early: this round does not count.
            }
        }
    }
}
