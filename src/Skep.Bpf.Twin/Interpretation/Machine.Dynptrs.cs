using Skep.Bpf.Asm;
using Skep.Bpf.Buffers;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Twin.Interpretation;

/// <summary>Pointers that know their bounds. On the stack of bytecode they have the same 16 bytes as on that of C#, so the same functions serve both.</summary>
internal sealed unsafe partial class Machine
{
    private ulong CallDynptr(int helper)
    {
        switch (helper)
        {
            case 197:
                return (ulong)BpfDynptr.FromMemory(Memory(1, (uint)_r[Register.R2]), (uint)_r[Register.R2], _r[Register.R3], out Pointer(4));
            case 198:
                return (ulong)Reserve(MapIn(1), (uint)_r[Register.R2], ref Pointer(4));
            case 199:
                Pointer(1).Submit(_r[Register.R2]);
                return 0;
            case 200:
                Pointer(1).Discard(_r[Register.R2]);
                return 0;
            case 201:
                return (ulong)BpfDynptr.ReadBytes(Memory(1, (uint)_r[Register.R2]), (uint)_r[Register.R2], in Pointer(3), (uint)_r[Register.R4], _r[Register.R5]);
            case 202:
                return (ulong)BpfDynptr.WriteBytes(in Pointer(1), (uint)_r[Register.R2], Memory(3, (uint)_r[Register.R4]), (uint)_r[Register.R4], _r[Register.R5]);
            case 203:
                return Remember((byte*)BpfDynptr.DataBytes(in Pointer(1), (uint)_r[Register.R2], (uint)_r[Register.R3]), (uint)_r[Register.R3], "a dynptr");
            default:
                return Drain();
        }
    }

    private ref BpfDynptr Pointer(int register) => ref *(BpfDynptr*)Memory(register, (uint)sizeof(BpfDynptr));

    private static int Reserve(BpfMap ring, uint size, ref BpfDynptr record)
    {
        record = default;
        if (size > BpfDynptr.MostBytes)
        {
            return -Errno.TooBig;
        }

        var bytes = ring.Storage.Reserve(size);
        if (bytes is null)
        {
            return -Errno.Invalid;
        }

        BpfDynptr.ToMemory(bytes, size, isRecord: true, isLocked: false, out record);
        return 0;
    }

    /// <summary><c>bpf_user_ringbuf_drain</c> (kernel/bpf/ringbuf.c).</summary>
    private ulong Drain()
    {
        var (ring, visit, state) = (MapIn(1), _r[Register.R2], _r[Register.R3]);
        ulong drained = 0;

        // The pointer that the function gets: at the place of the key that a visitor of entries would get.
        var pointer = (BpfDynptr*)(_keys.Address + ((_depth - 1) * StackSize));
        for (var (peeked, goesOn) = (0, true); peeked < UserRing.MostRecords && goesOn; peeked++)
        {
            var status = ring.Storage.PeekRecord(out var record, out var size);
            if (status == UserRing.NoData)
            {
                break;
            }

            if (status == 0)
            {
                BpfDynptr.ToMemory(record, size, isRecord: false, isLocked: false, out *pointer);
                goesOn = CallBack(visit, [(ulong)pointer, state]) == 0;
                drained++;
            }

            ring.Storage.ReleaseRecord();
        }

        return drained;
    }
}
