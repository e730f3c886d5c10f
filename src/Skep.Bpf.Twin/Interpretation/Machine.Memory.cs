using System.Globalization;
using System.Runtime.CompilerServices;
using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Twin.Interpretation;

/// <summary>
/// Loads, stores and atomics. Packet, stack and map values are where they are in the process; the context and maps have addresses that no
/// process has, so that only the machine can tell what lies behind them.
/// </summary>
internal sealed unsafe partial class Machine
{
    private const int StackSize = 512;
    private const int ContextSize = 192; // sizeof(struct __sk_buff), the largest
    public const ulong ContextTag = 0x00C0_0000_0000_0000;
    private const ulong MapTag = 0x00DA_0000_0000_0000;

    private readonly PinnedMemory _stack = new(MaxFrames * StackSize);
    private readonly PinnedMemory _socket = new(80);
    private Value[] _values = new Value[16];
    private int _valueCount;

    private void LoadRegister(Instruction i)
    {
        RequireWritable(i.Dst);
        var mode = i.Code & 0xe0;
        var size = SizeOf(i);
        if (mode is not (ModeMem or ModeMemSx) || (mode == ModeMemSx && size == 8))
        {
            FaultUnknown();
        }

        var address = _r[i.Src] + (ulong)i.Offset;
        if (ContextOffset(address) is { } offset)
        {
            if (mode != ModeMem || !_view.TryLoad(offset, size, out _r[i.Dst]))
            {
                Fault(Invariant($"the context has no field of {size} bytes at offset {offset} that can be read"));
            }

            return;
        }

        var p = Checked(address, (uint)size, "reads");

        // SAFETY: Checked has found the bytes inside one region that lives as long as the run.
        _r[i.Dst] = (size, mode == ModeMemSx) switch
        {
            (1, false) => *p,
            (2, false) => Unsafe.ReadUnaligned<ushort>(p),
            (4, false) => Unsafe.ReadUnaligned<uint>(p),
            (1, true) => (ulong)(sbyte)*p,
            (2, true) => (ulong)Unsafe.ReadUnaligned<short>(p),
            (4, true) => (ulong)Unsafe.ReadUnaligned<int>(p),
            _ => Unsafe.ReadUnaligned<ulong>(p),
        };
    }

    private void StoreRegister(Instruction i)
    {
        var mode = i.Code & 0xe0;
        var size = SizeOf(i);
        var address = _r[i.Dst] + (ulong)i.Offset;
        if (mode == ModeAtomic && i.Class == ClassStx && i.Immediate == AtomicLoadAcquire)
        {
            RequireWritable(i.Dst);
            _r[i.Dst] = LoadAcquire(Checked(_r[i.Src] + (ulong)i.Offset, (uint)size, "reads"), size);
            return;
        }

        if (mode == ModeAtomic && i.Class == ClassStx && i.Immediate == AtomicStoreRelease)
        {
            StoreRelease(Checked(address, (uint)size, "writes"), size, _r[i.Src]);
            return;
        }

        if (mode == ModeAtomic && i.Class == ClassStx && size >= 4)
        {
            Atomic(i, Checked(address, (uint)size, "changes"), size == 8);
            return;
        }

        if (mode != ModeMem)
        {
            FaultUnknown();
        }

        var value = i.Class == ClassSt ? (ulong)i.Immediate : _r[i.Src];
        if (ContextOffset(address) is { } offset)
        {
            if (!_view.TryStore(offset, size, value))
            {
                Fault(Invariant($"the context has no field of {size} bytes at offset {offset} that can be written"));
            }

            return;
        }

        var p = Checked(address, (uint)size, "writes");

        // SAFETY: Checked has found the bytes inside one region that lives as long as the run.
        switch (size)
        {
            case 1:
                *p = (byte)value;
                break;
            case 2:
                Unsafe.WriteUnaligned(p, (ushort)value);
                break;
            case 4:
                Unsafe.WriteUnaligned(p, (uint)value);
                break;
            default:
                Unsafe.WriteUnaligned(p, value);
                break;
        }
    }

    private void LoadWide(Instruction i)
    {
        if (!i.IsWideLoad || _slot + 1 >= _code.Length)
        {
            FaultUnknown();
        }

        RequireWritable(i.Dst);
        if (_references.TryGetValue(_slot, out var reference))
        {
            _r[i.Dst] = reference.ValueOffset is { } offset
                ? FirstValue(reference.Map) + offset
                : MapTag + (ulong)Array.IndexOf(_maps, reference.Map);
        }
        else if (i.Src == PseudoFunction)
        {
            _r[i.Dst] = FunctionTag + (ulong)(_slot + 1 + i.Immediate);
        }
        else if (i.Src == 0)
        {
            _r[i.Dst] = (uint)i.Immediate | ((ulong)(uint)_code[_slot + 1].Immediate << 32);
        }
        else
        {
            Fault("a map reference that names no map");
        }
    }

    private ulong FirstValue(BpfMap map)
    {
        if (map.Kind == MapKind.Arena)
        {
            return (ulong)map.Storage.Memory;
        }

        uint zero = 0;
        return Remember(map, map.Storage.Find((byte*)&zero));
    }

    /// <summary>From now on the program may use the value at this address.</summary>
    private ulong Remember(BpfMap map, byte* value) => Remember(value, (uint)map.ValueSize, map.Name);

    /// <summary>From now on the program may use these bytes.</summary>
    private ulong Remember(byte* value, uint size, string what)
    {
        if (value == null)
        {
            return 0;
        }

        for (var v = _valueCount - 1; v >= 0; v--)
        {
            if (_values[v].Address == (ulong)value && _values[v].Size >= size)
            {
                return (ulong)value;
            }
        }

        if (_valueCount == _values.Length)
        {
            Array.Resize(ref _values, 2 * _valueCount);
        }

        _values[_valueCount++] = new Value((ulong)value, size, what);
        return (ulong)value;
    }

    /// <summary>At the start of a run the program may use no value yet; arenas it may, whatever pointers lead there.</summary>
    private void BeginValues()
    {
        _valueCount = 0;
        foreach (var map in _maps)
        {
            if (map.Kind == MapKind.Arena)
            {
                Remember(map.Storage.Memory, (uint)Math.Min(uint.MaxValue, (ulong)map.MaxEntries * (uint)Environment.SystemPageSize), map.Name);
            }
        }
    }

    private static long? ContextOffset(ulong address) => address - ContextTag < ContextSize ? (long)(address - ContextTag) : null;

    /// <summary>The address as a pointer; a fault when <see cref="IsReadable"/> says no.</summary>
    private byte* Checked(ulong address, uint size, string does)
    {
        if (!IsReadable(address, size))
        {
            Fault(Invariant($"{does} {size} bytes at {Describe(address)}"));
        }

        return (byte*)address;
    }

    /// <summary>Whether all bytes lie in the packet, in one frame of the stack, in a key that is visited or in one map value. All of these may be written too.</summary>
    private bool IsReadable(ulong address, uint size)
    {
        var onStack = address - (ulong)_stack.Address;
        if (onStack < (ulong)(_depth * StackSize) && (onStack % StackSize) + size <= StackSize)
        {
            return true;
        }

        if (IsWithin(address, size, (ulong)_view.Data, (ulong)(_view.DataEnd - _view.Data)))
        {
            return true;
        }

        if (IsWithin(address, size, (ulong)_keys.Address, MaxFrames * StackSize))
        {
            return true;
        }

        for (var v = _valueCount - 1; v >= 0; v--)
        {
            if (IsWithin(address, size, _values[v].Address, _values[v].Size))
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsWithin(ulong address, uint size, ulong start, ulong length) =>
        size <= length && address - start <= length - size;

    private string Describe(ulong address)
    {
        const ulong Near = 4096;
        var data = (ulong)_view.Data;
        if (address < Near)
        {
            return Invariant($"0x{address:x}: a null pointer");
        }

        if (ContextOffset(address) is { } offset)
        {
            return Invariant($"offset {offset} of the context, which is not memory");
        }

        if (address - MapTag < (ulong)_maps.Length)
        {
            return Invariant($"map '{_maps[address - MapTag].Name}', which is not memory");
        }

        for (var v = _valueCount - 1; v >= 0; v--)
        {
            if (address - _values[v].Address <= _values[v].Size)
            {
                return Invariant($"offset {address - _values[v].Address} of a value of map '{_values[v].Name}', which has {_values[v].Size} bytes");
            }
        }

        var onStack = (long)(address - _r[Register.R10]);
        if (onStack is >= -StackSize - 64 and <= 64)
        {
            return Invariant($"offset {onStack} from the frame pointer; the stack is from -{StackSize} to -1");
        }

        if (address - data + Near < (2 * Near) + (ulong)(_view.DataEnd - _view.Data))
        {
            return Invariant($"offset {(long)(address - data)} of the packet, which has {_view.DataEnd - _view.Data} bytes");
        }

        return address == Poison ? "an address never set" : Invariant($"0x{address:x}, which is no memory of the program");
    }

    private static int SizeOf(Instruction i) => (i.Code & 0x18) switch
    {
        SizeB => 1,
        SizeH => 2,
        SizeW => 4,
        _ => 8,
    };

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private readonly record struct Value(ulong Address, uint Size, string Name);
}
