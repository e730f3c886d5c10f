using System.Diagnostics;
using Skep.Bpf;
using Skep.Bpf.Programs;

namespace Skep.Benchmarks.Balancing;

/// <summary>One side of the comparison: its balancer around which the packet is restored.</summary>
internal sealed class Contender : IDisposable
{
    private static readonly byte[] Output = new byte[4096];

    private readonly ProgramSpec _spec;
    private LoadedProgram _program;

    internal Contender(string name, ProgramSpec spec, ProgramSpec alone)
    {
        Name = name;
        _spec = spec;
        _program = ProgramLoader.Load(spec);
        Instructions = alone.Instructions.Count;
        var best = double.MaxValue;
        for (var i = 0; i < 5; i++)
        {
            var started = Stopwatch.GetTimestamp();
            using var loaded = ProgramLoader.Load(alone);
            best = Math.Min(best, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            VerifiedInstructions = loaded.VerifiedInstructions;
            JitedBytes = loaded.JitedSize;
        }

        LoadMilliseconds = best;
    }

    internal string Name { get; }

    internal int Instructions { get; }

    internal int VerifiedInstructions { get; }

    internal int JitedBytes { get; }

    internal double LoadMilliseconds { get; }

    /// <summary>Verdict and packet after one run.</summary>
    internal (int Verdict, byte[] Packet) RunOnce(byte[] packet)
    {
        var result = _program.TestRun(packet);
        return (result.ReturnValue, result.Output);
    }

    /// <summary>CPU time of the thread per run.</summary>
    internal double Nanoseconds(byte[] packet, int repeat)
    {
        while (true)
        {
            try
            {
                var started = ThreadClock.Nanoseconds;
                _program.TestRun(packet, Output, new TestRunOptions { Repeat = repeat });
                return (ThreadClock.Nanoseconds - started) / (double)repeat;
            }
            catch (BpfException e) when (e.ErrorNumber == Errno.Interrupted)
            {
                // A signal of the runtime ended the loop early: this round does not count.
            }
        }
    }

    /// <summary>Puts the program elsewhere in memory: where machine code and its jumps lie is worth up to a third, and chance.</summary>
    internal void Reload()
    {
        _program.Dispose();
        _program = ProgramLoader.Load(_spec);
    }

    public void Dispose() => _program.Dispose();
}
