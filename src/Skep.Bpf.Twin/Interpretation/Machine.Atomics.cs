using System.Runtime.CompilerServices;
using Skep.Bpf.Asm;
using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Twin.Interpretation;

/// <summary>
/// Atomic operations (RFC 9669 section 5.3). They are atomic in the process too: the user half may hold references into the same values.
/// </summary>
internal sealed unsafe partial class Machine
{
    private void Atomic(Instruction i, byte* p, bool wide)
    {
        if (!wide)
        {
            Atomic32(i, p);
            return;
        }

        ref var cell = ref Unsafe.AsRef<ulong>(p);
        var operand = _r[i.Src];
        ulong old;
        switch (i.Immediate)
        {
            case AtomicXchg:
                _r[i.Src] = Interlocked.Exchange(ref cell, operand);
                return;
            case AtomicCmpXchg:
                _r[Register.R0] = Interlocked.CompareExchange(ref cell, operand, _r[Register.R0]);
                return;
        }

        do
        {
            old = Volatile.Read(ref cell);
        }
        while (Interlocked.CompareExchange(ref cell, Changed(i.Immediate, old, operand), old) != old);

        if ((i.Immediate & AtomicFetch) != 0)
        {
            _r[i.Src] = old;
        }
    }

    /// <summary>What is read fills the upper half of the register with zeros.</summary>
    private void Atomic32(Instruction i, byte* p)
    {
        ref var cell = ref Unsafe.AsRef<uint>(p);
        var operand = (uint)_r[i.Src];
        uint old;
        switch (i.Immediate)
        {
            case AtomicXchg:
                _r[i.Src] = Interlocked.Exchange(ref cell, operand);
                return;
            case AtomicCmpXchg:
                _r[Register.R0] = Interlocked.CompareExchange(ref cell, operand, (uint)_r[Register.R0]);
                return;
        }

        do
        {
            old = Volatile.Read(ref cell);
        }
        while (Interlocked.CompareExchange(ref cell, (uint)Changed(i.Immediate, old, operand), old) != old);

        if ((i.Immediate & AtomicFetch) != 0)
        {
            _r[i.Src] = old;
        }
    }

    private ulong Changed(int operation, ulong old, ulong operand) => (operation & ~AtomicFetch) switch
    {
        AtomicAdd => old + operand,
        AtomicOr => old | operand,
        AtomicAnd => old & operand,
        AtomicXor => old ^ operand,
        _ => FaultUnknown(),
    };

    // SAFETY: the caller has found the bytes inside one region that lives as long as the run.
    private static ulong LoadAcquire(byte* p, int size) => size switch
    {
        1 => Volatile.Read(ref *p),
        2 => Volatile.Read(ref Unsafe.AsRef<ushort>(p)),
        4 => Volatile.Read(ref Unsafe.AsRef<uint>(p)),
        _ => Volatile.Read(ref Unsafe.AsRef<ulong>(p)),
    };

    private static void StoreRelease(byte* p, int size, ulong value)
    {
        switch (size)
        {
            case 1:
                Volatile.Write(ref *p, (byte)value);
                break;
            case 2:
                Volatile.Write(ref Unsafe.AsRef<ushort>(p), (ushort)value);
                break;
            case 4:
                Volatile.Write(ref Unsafe.AsRef<uint>(p), (uint)value);
                break;
            default:
                Volatile.Write(ref Unsafe.AsRef<ulong>(p), value);
                break;
        }
    }
}
