using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Samples.Library;

/// <summary>Counts the processes of the host, and the threads of the newest one, when the packet of a prober comes by.</summary>
public sealed unsafe class MeasureProcesses : XdpProgram
{
    public Global<Totals> Result { get; } = new();

    public override XdpAction Run(ref XdpContext context)
    {
        Result.Value = default;
        foreach (var process in Tasks.Processes())
        {
            Result.Value.Processes++;
            if (process->StartTime < Result.Value.NewestStart)
            {
                continue;
            }

            Result.Value.NewestStart = process->StartTime;
            Result.Value.Newest = process->ProcessId;
        }

        foreach (var thread in Tasks.Threads())
        {
            if (thread->ProcessId == Result.Value.Newest)
            {
                Result.Value.ThreadsOfNewest++;
            }
        }

        return XdpAction.Pass;
    }

    public struct Totals
    {
        public ulong NewestStart;
        public int Newest, Processes, ThreadsOfNewest, Rest;
    }
}
