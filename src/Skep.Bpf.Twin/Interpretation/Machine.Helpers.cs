using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Twin.Interpretation;

/// <summary>
/// Helper calls, by their numbers in <c>enum bpf_func_id</c>: those that programs written in C# can call, and older forms of them that C programs use.
/// Negative errno numbers are sign-extended, as the kernel gives them.
/// </summary>
internal sealed unsafe partial class Machine
{
    /// <summary>An argument register as a number.</summary>
    public ulong Argument(int register) => _r[register];

    /// <summary>An argument register as memory of the given size; a fault when it is not.</summary>
    public byte* Memory(int register, uint size) => Checked(_r[register], size, $"gives {HelperNames.Of(_code[_slot].Immediate)}");

    /// <summary>A fault when the register is not the program's context.</summary>
    public void RequireContext(int register)
    {
        if (_r[register] != ContextTag)
        {
            Fault($"R{register} is not the context");
        }
    }

    private ulong CallHelper(int helper)
    {
        BpfMap map;
        switch (helper)
        {
            case 1:
                map = MapIn(1);
                RequireKeys(map);
                if (map.InnerTemplate is not null)
                {
                    return RememberMap(map.Storage.FindMap(Memory(2, (uint)map.KeySize)));
                }

                return Remember(map, map.Storage.Find(Memory(2, (uint)map.KeySize)));
            case 2:
                map = MapIn(1);
                RequireKeys(map);
                return (ulong)map.Storage.Update(Memory(2, (uint)map.KeySize), Memory(3, (uint)map.ValueSize), _r[Register.R4]);
            case 3:
                map = MapIn(1);
                RequireKeys(map);
                return (ulong)map.Storage.Delete(Memory(2, (uint)map.KeySize));
            case 25:
                map = MapIn(2);
                var eventSize = _r[Register.R5];
                return (ulong)map.Storage.Output(Memory(4, checked((uint)eventSize)), eventSize);
            case 51:
                return (ulong)MapIn(1).Storage.Redirect((uint)_r[Register.R2], _r[Register.R3]);
            case 87:
                map = MapIn(1);
                return (ulong)map.Storage.Push(Memory(2, (uint)map.ValueSize), _r[Register.R3]);
            case 88:
                map = MapIn(1);
                return (ulong)map.Storage.Pop(Memory(2, (uint)map.ValueSize));
            case 89:
                map = MapIn(1);
                return (ulong)map.Storage.Peek(Memory(2, (uint)map.ValueSize));
            case 4:
            case 112:
            case 113:
                return ProbeRead();
            case 5:
            case 125:
            case 160:
                return _environment.KtimeNanoseconds;
            case 118:
                return _environment.KtimeNanoseconds / KernelTick.Nanoseconds;
            case 7:
                return _environment.NextRandom();
            case 8:
                return _environment.Cpu;
            case 14:
                return _environment.PidTgid;
            case 16:
                return (ulong)Helper.GetCurrentComm(Memory(1, (uint)_r[Register.R2]), (uint)_r[Register.R2]);
            case 12:
                return TailCall();
            case 86:
                return 0;
            case 99:
                return FindTcp();
            case 164:
                return VisitEntries();
            case 181:
                return RunLoop();
            case (>= 197 and <= 203) or 209:
                return CallDynptr(helper);
            case >= 169 and <= 172:
                return CallTimer(helper);
            case 93:
            case 94:
                return SpinLock(take: helper == 93);
            case 130:
                map = MapIn(1);
                if (map.Kind != MapKind.RingBuffer)
                {
                    Fault($"map '{map.Name}' is not a ring buffer");
                }

                var size = _r[Register.R3];
                return (ulong)map.Storage.Output(Memory(2, checked((uint)size)), size);
        }

        if (!_view.TryCall(helper, this, out var result))
        {
            Fault($"the interpreter has no helper {HelperNames.Of(helper)} for programs of type {_spec.Type}");
        }

        return result;
    }

    /// <summary>A socket as the kernel's <c>struct bpf_sock</c> has it, in memory that only holds what the verifier lets programs read.</summary>
    private ulong FindTcp()
    {
        const int size = 80, family = 4, state = 72;
        RequireContext(1);
        var length = (uint)_r[Register.R3];
        var tuple = Memory(2, length);
        if (_environment.TcpStateOf(tuple, length, _r[Register.R4], _r[Register.R5]) is not { } found)
        {
            return 0;
        }

        new Span<byte>(_socket.Address, size).Clear();
        *(uint*)(_socket.Address + family) = length == sizeof(SocketTuple4) ? 2u : 10u;
        *(uint*)(_socket.Address + state) = (uint)found;
        return Remember(_socket.Address, size, "a socket");
    }

    private ulong SpinLock(bool take)
    {
        // One program runs at a time: a lock that is not free was never given back.
        var state = (uint*)Memory(1, sizeof(uint));
        if (*state != (take ? 0u : 1u))
        {
            Fault(take ? "a spin lock is taken that is held already" : "a spin lock is given back that is not held");
        }

        *state = take ? 1u : 0;
        return 0;
    }

    /// <summary>From now on the program may use this map, which it found in another.</summary>
    private ulong RememberMap(BpfMap? inner)
    {
        if (inner is null)
        {
            return 0;
        }

        var index = Array.IndexOf(_maps, inner);
        if (index < 0)
        {
            index = _maps.Length;
            _maps = [.. _maps, inner];
        }

        return MapTag + (ulong)index;
    }

    private BpfMap MapIn(int register)
    {
        var index = _r[register] - MapTag;
        if (index >= (ulong)_maps.Length)
        {
            Fault($"R{register} is not a map");
        }

        return _maps[index];
    }

    private void RequireKeys(BpfMap map)
    {
        if (map.KeySize == 0)
        {
            Fault($"map '{map.Name}' has no keys");
        }
    }

    /// <summary>Reads the program's own memory only; any other address is one the kernel could not read.</summary>
    private ulong ProbeRead()
    {
        var size = (uint)_r[Register.R2];
        var target = Memory(1, size);
        if (!IsReadable(_r[Register.R3], size))
        {
            new Span<byte>(target, (int)size).Clear();
            return unchecked((ulong)-Errno.Fault);
        }

        Buffer.MemoryCopy((byte*)_r[Register.R3], target, size, size);
        return 0;
    }
}
