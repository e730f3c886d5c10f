using Skep.Bpf;
using Skep.Bpf.Programs;

namespace Skep.Benchmarks.Edge;

/// <summary>One side of the comparison: its edge around which the packet is restored, and the restoring alone.</summary>
internal sealed class Contender(ProgramSpec edge, ProgramSpec nothing, ProgramSpec alone) : IDisposable
{
    private static readonly byte[] Output = new byte[4096];

    private readonly LoadedProgram _nothing = ProgramLoader.Load(nothing);
    private LoadedProgram _edge = ProgramLoader.Load(edge);
    private readonly LoadedProgram _alone = ProgramLoader.Load(alone);

    internal int Instructions => alone.Instructions.Count;

    internal int VerifiedInstructions => _alone.VerifiedInstructions;

    internal int JitedBytes => _alone.JitedSize;

    /// <summary>Verdict and packet after one run, for the proof that both sides do the same.</summary>
    internal (int Verdict, byte[] Packet) RunOnce(byte[] packet)
    {
        var result = _edge.TestRun(packet);
        return (result.ReturnValue, result.Output);
    }

    internal double EdgeNanoseconds(byte[] packet, int repeat) => Nanoseconds(_edge, packet, repeat);

    internal double RestoreNanoseconds(byte[] packet, int repeat) => Nanoseconds(_nothing, packet, repeat);

    /// <summary>Puts the program elsewhere in memory: where machine code and its jumps lie is worth up to a third, and chance.</summary>
    internal void Reload()
    {
        _edge.Dispose();
        _edge = ProgramLoader.Load(edge);
    }

    private static double Nanoseconds(LoadedProgram program, byte[] packet, int repeat)
    {
        while (true)
        {
            try
            {
                var started = ThreadClock.Nanoseconds;
                program.TestRun(packet, Output, new TestRunOptions { Repeat = repeat });
                return (ThreadClock.Nanoseconds - started) / (double)repeat;
            }
            catch (BpfException e) when (e.ErrorNumber == Errno.Interrupted)
            {
                // A signal of the runtime ended the loop early: this round does not count.
            }
        }
    }

    public void Dispose()
    {
        _edge.Dispose();
        _nothing.Dispose();
        _alone.Dispose();
    }
}
