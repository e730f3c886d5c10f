using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Samples.Library;

/// <summary>Copies the head of every packet, up to 32 bytes, to the process: a record is as long as what it holds.</summary>
public sealed class CopyHeads : XdpProgram
{
    public RingBuffer<byte> Heads { get; } = new(1 << 16);

    public Global<ulong> Lost { get; } = new();

    public override XdpAction Run(ref XdpContext context)
    {
        if (BpfDynptr.FromPacket(ref context, out var packet) != 0)
        {
            return XdpAction.Pass;
        }

        if (Heads.Reserve(Math.Min(packet.Size, 32), out var record) != 0)
        {
            Interlocked.Increment(ref Lost.Value);
            record.Discard();
            return XdpAction.Pass;
        }

        for (var i = 0u; i < 32; i++)
        {
            if (packet.Read<byte>(i, out var value) != 0)
            {
                break;
            }

            record.Write(i, in value);
        }

        record.Submit();
        return XdpAction.Pass;
    }
}
