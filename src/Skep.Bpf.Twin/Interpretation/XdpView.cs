using Skep.Bpf.Programming;

namespace Skep.Bpf.Twin.Interpretation;

/// <summary>The context of an XDP program.</summary>
internal sealed unsafe class XdpView : PacketView
{
    private readonly PinnedMemory _memory = new((ulong)sizeof(XdpContext));

    public ref XdpContext Context => ref *(XdpContext*)_memory.Address;

    public override void* Address => _memory.Address;

    public override byte* Data => Context.Data;

    public override byte* DataEnd => Context.DataEnd;

    public override bool TryLoad(long offset, int size, out ulong value) => ContextLayout<XdpContext>.TryLoad(ref Context, offset, size, out value);

    public override bool TryStore(long offset, int size, ulong value) => ContextLayout<XdpContext>.TryStore(ref Context, offset, size, value);

    public override bool TryCall(int helper, Machine machine, out ulong result)
    {
        switch (helper)
        {
            case 23:
                result = (ulong)XdpContext.SendTo((uint)machine.Argument(1), machine.Argument(2));
                return true;
            case 44:
                machine.RequireContext(1);
                result = (ulong)Context.AdjustHead((int)machine.Argument(2));
                return true;
            case 65:
                machine.RequireContext(1);
                result = (ulong)Context.AdjustTail((int)machine.Argument(2));
                return true;
            default:
                result = 0;
                return false;
        }
    }
}
