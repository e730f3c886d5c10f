using Skep.Benchmarks.Compiler.Suite;
using Skep.Bpf;
using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Benchmarks.Compiler;

/// <summary>
/// Nanoseconds of CPU time of the thread per run in the kernel. The contenders take turns in rounds of some milliseconds, of which the shorter counts,
/// since what else the machine does can only add. All are loaded anew many times: where code lies in memory is worth a tenth by chance, and the
/// spread says how much.
/// </summary>
internal sealed class Timing : IDisposable
{
    private const int Places = 48;
    private const int EmptyPlaces = 3;
    private const int Rounds = 2;

    // Few runs would measure the system call, which installs the program anew each time.
    private const int Runs = 60_000;

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
            // What a run costs that does nothing, with the restoring and without; these lie in places of chance too, so there are some.
            for (var i = 0; i < EmptyPlaces; i++)
            {
                programs.Add(Load(Nothing));
                programs.Add(ProgramLoader.Load(Nothing));
            }

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
            var empty = nothing.Where(static (_, i) => i % 2 != 0).Average();
            var restore = _restoring is null ? 0 : nothing.Where(static (_, i) => i % 2 == 0).Average() - empty;
            return [.. sums.Select(s => (s / timed) - restore), empty];
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
        var best = new double[programs.Count];
        Array.Fill(best, double.MaxValue);
        for (var round = 0; round < Rounds; round++)
        {
            for (var turn = 0; turn < programs.Count; turn++)
            {
                // The order changes: what ran before has filled the caches.
                var i = (turn + round) % programs.Count;
                best[i] = Math.Min(best[i], Nanoseconds(programs[i], packet));
            }
        }

        return best;
    }

    private static double Nanoseconds(LoadedProgram program, byte[] packet)
    {
        while (true)
        {
            try
            {
                var started = ThreadClock.Nanoseconds;
                program.TestRun(packet, s_output, new TestRunOptions { Repeat = Runs });
                return (ThreadClock.Nanoseconds - started) / (double)Runs;
            }
            catch (BpfException e) when (e.ErrorNumber == Errno.Interrupted)
            {
                // A signal of the runtime ended the loop early: this round does not count.
            }
        }
    }
}
