using Skep.Bpf.Programming;

namespace Skep.Bpf.Twin.Interpretation;

/// <summary>The context of a TC program.</summary>
internal sealed unsafe class TcView : PacketView
{
    public TcContext Context;

    public override byte* Data => Context.Data;

    public override byte* DataEnd => Context.DataEnd;

    public override bool HasPacketLoads => true;

    public override bool TryLoad(long offset, int size, out ulong value) => ContextLayout<TcContext>.TryLoad(ref Context, offset, size, out value);

    public override bool TryStore(long offset, int size, ulong value) => ContextLayout<TcContext>.TryStore(ref Context, offset, size, value);

    public override bool TryCall(int helper, Machine machine, out ulong result)
    {
        switch (helper)
        {
            case 26:
                machine.RequireContext(1);
                var length = (uint)machine.Argument(4);
                result = (ulong)Context.LoadBytes((uint)machine.Argument(2), machine.Memory(3, length), length);
                return true;
            case 39:
                machine.RequireContext(1);
                result = (ulong)Context.PullData((uint)machine.Argument(2));
                return true;
            case 46:
                machine.RequireContext(1);
                result = Context.GetSocketCookie();
                return true;
            default:
                result = 0;
                return false;
        }
    }
}
