using System.Buffers.Binary;
using Skep.Bpf.Asm;
using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Twin.Interpretation;

/// <content>
/// Packet loads of classic BPF (RFC 9669 section 5.5, deprecated): R6 is the context, the result comes in host order, R1 to R5 are lost,
/// and a load beyond the packet ends the function with 0.
/// </content>
internal sealed unsafe partial class Machine
{
    private int LoadPacket(Instruction i)
    {
        if (!_view.HasPacketLoads)
        {
            Fault($"programs of type {_spec.Type} have no packet loads");
        }

        RequireContext(Register.R6);
        var size = SizeOf(i);
        var offset = (i.Code & 0xe0) == ModeInd ? (long)(int)((uint)_r[i.Src] + (uint)i.Immediate) : i.Immediate;
        ForgetArguments();
        if (offset < 0 || offset + size > _view.DataEnd - _view.Data)
        {
            _r[Register.R0] = 0;
            return LeaveFrame();
        }

        // SAFETY: the bytes lie in the packet, which lives as long as the run.
        var bytes = new ReadOnlySpan<byte>(_view.Data + offset, size);
        _r[Register.R0] = size switch
        {
            1 => bytes[0],
            2 => BinaryPrimitives.ReadUInt16BigEndian(bytes),
            _ => BinaryPrimitives.ReadUInt32BigEndian(bytes),
        };
        return _slot + 1;
    }
}
