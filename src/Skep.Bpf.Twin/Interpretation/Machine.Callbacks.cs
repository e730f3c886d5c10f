using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Twin.Interpretation;

/// <summary>Helpers that call functions of the program.</summary>
internal sealed unsafe partial class Machine
{
    private const uint TimerSize = 16;
    private const ulong FunctionTag = 0x00FA_0000_0000_0000;

    private static readonly MemoryView s_noPacket = new(null, 0);

    private readonly PinnedMemory _keys = new(MaxFrames * StackSize);

    /// <summary>Runs the function at an address with these arguments, in a frame on top of the current one, and gives what it returns.</summary>
    public ulong CallBack(ulong address, ReadOnlySpan<ulong> arguments)
    {
        var slot = _slot;
        if (address - FunctionTag >= (ulong)_code.Length)
        {
            Fault("the function to call back is none of the program");
        }

        if (_depth == MaxFrames)
        {
            Fault("more than 8 nested calls");
        }

        // A frame whose caller has no slot to return to ends the inner loop.
        _returns[_depth - 1] = new Return(-1, _r[Register.R6], _r[Register.R7], _r[Register.R8], _r[Register.R9]);
        EnterFrame();
        Array.Fill(_r, Poison, 0, 10);
        arguments.CopyTo(_r.AsSpan(Register.R1));
        Execute((int)(address - FunctionTag));
        _slot = slot;
        return _r[Register.R0];
    }

    /// <summary>Timer helpers, and those of work queues, which are timers that are due at once: in the process a timer is its number in the value, and what it calls is a function of this program.</summary>
    private ulong CallTimer(int helper)
    {
        var timer = (ulong*)Memory(1, TimerSize);
        return (ulong)(helper switch
        {
            169 => _environment.Timers.Initialize(timer, MapIn(2), _r[Register.R3]),
            170 => _environment.Timers.SetCallback(timer, Later(_r[Register.R2])),
            171 => _environment.Timers.Start(timer, _r[Register.R2], _r[Register.R3]),
            _ => _environment.Timers.Cancel(timer),
        });
    }

    /// <summary>The function at an address, to be called when no program runs: on a stack of its own, without a packet.</summary>
    private LaterCall Later(ulong address)
    {
        if (address - FunctionTag >= (ulong)_code.Length)
        {
            Fault("the function to call later is none of the program");
        }

        return new LaterCall((map, key, value) =>
        {
            var executed = Executed;
            _view = s_noPacket;
            BeginValues();
            Array.Fill(_r, Poison);
            (_depth, Executed) = (0, 0);
            EnterFrame();
            Buffer.MemoryCopy(key, _keys.Address, StackSize, map.KeySize);
            var index = Array.IndexOf(_maps, map);
            (_r[Register.R1], _r[Register.R2], _r[Register.R3]) = (MapTag + (ulong)index, (ulong)_keys.Address, Remember(map, value));
            Execute((int)(address - FunctionTag));
            Executed = executed;
        });
    }

    /// <summary><c>bpf_loop</c> (kernel/bpf/bpf_iter.c).</summary>
    private ulong RunLoop()
    {
        var (rounds, body, state, flags) = ((uint)_r[Register.R1], _r[Register.R2], _r[Register.R3], _r[Register.R4]);
        if (flags != 0)
        {
            return unchecked((ulong)-Errno.Invalid);
        }

        if (rounds > MostRounds)
        {
            return unchecked((ulong)-Errno.TooBig);
        }

        for (ulong i = 0; i < rounds; i++)
        {
            if (CallBack(body, [i, state]) != 0)
            {
                return i + 1;
            }
        }

        return rounds;
    }

    /// <summary><c>bpf_for_each_map_elem</c> (kernel/bpf/map_iter.c).</summary>
    private ulong VisitEntries()
    {
        var map = MapIn(1);
        var (mapAddress, visit, state, flags) = (_r[Register.R1], _r[Register.R2], _r[Register.R3], _r[Register.R4]);
        RequireKeys(map);
        if (flags != 0)
        {
            return unchecked((ulong)-Errno.Invalid);
        }

        // Programs see the key of the entry that is visited; loops over maps may nest.
        var key = _keys.Address + ((_depth - 1) * StackSize);
        var walk = new MapWalk(map.Storage, new Span<byte>(key, map.KeySize), new byte[map.KeySize]);
        ulong visited = 0;
        while (walk.MoveNext())
        {
            visited++;
            if (CallBack(visit, [mapAddress, (ulong)key, Remember(map, walk.Value), state]) != 0)
            {
                break;
            }
        }

        return visited;
    }
}
