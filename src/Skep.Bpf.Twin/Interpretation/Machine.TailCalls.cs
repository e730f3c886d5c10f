using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Twin.Interpretation;

/// <summary>Tail calls (<c>bpf_tail_call</c>): another program runs on the same context, and its result is that of the frame that called it.</summary>
internal sealed unsafe partial class Machine
{
    private const int MostTailCalls = 33; // MAX_TAIL_CALL_CNT

    private readonly Dictionary<ProgramSpec, Machine> _others = [];

    private ulong TailCall()
    {
        RequireContext(1);
        var map = MapIn(2);
        if (map is not ProgramArray)
        {
            Fault($"map '{map.Name}' has no programs");
        }

        var target = _spec.TailTargets.FirstOrDefault(t => t.Array == map && t.Slot == (uint)_r[Register.R3]);
        if (target is null || !_environment.TryTailCall(MostTailCalls))
        {
            return unchecked((ulong)-Errno.NoEntry);
        }

        if (!_others.TryGetValue(target.Program, out var other))
        {
            _others.Add(target.Program, other = new Machine(target.Program, _environment));
        }

        // A program that calls itself has a machine for each call: the caller's frames are still in use.
        var result = other.Run(_view, _stepLimit - Executed, ContextTag, Poison);
        Executed += other.Executed;
        _endsFrame = true;
        return result;
    }
}
