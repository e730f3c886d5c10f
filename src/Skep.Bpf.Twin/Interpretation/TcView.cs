using Skep.Bpf.Programming;

namespace Skep.Bpf.Twin.Interpretation;

/// <summary>The context of a TC program.</summary>
internal sealed unsafe class TcView : PacketView
{
    private readonly PinnedMemory _memory = new((ulong)sizeof(TcContext));

    public ref TcContext Context => ref *(TcContext*)_memory.Address;

    public override void* Address => _memory.Address;

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
            case 9:
                machine.RequireContext(1);
                var size = (uint)machine.Argument(4);
                result = (ulong)Context.StoreBytes((uint)machine.Argument(2), machine.Memory(3, size), size, (StoreFlags)machine.Argument(5));
                return true;
            case 10:
                machine.RequireContext(1);
                result = (ulong)Context.L3ChecksumReplace((uint)machine.Argument(2), machine.Argument(3), machine.Argument(4), machine.Argument(5));
                return true;
            case 11:
                machine.RequireContext(1);
                result = (ulong)Context.L4ChecksumReplace((uint)machine.Argument(2), machine.Argument(3), machine.Argument(4), (L4ChecksumFlags)machine.Argument(5));
                return true;
            case 23:
                result = (ulong)TcContext.Redirect((uint)machine.Argument(1), (RedirectFlags)machine.Argument(2));
                return true;
            case 39:
                machine.RequireContext(1);
                result = (ulong)Context.PullData((uint)machine.Argument(2));
                return true;
            case 40:
                machine.RequireContext(1);
                result = (ulong)Context.ChecksumUpdate((uint)machine.Argument(2));
                return true;
            case 50:
                machine.RequireContext(1);
                result = (ulong)Context.AdjustRoom((int)machine.Argument(2), (RoomMode)machine.Argument(3), (RoomFlags)machine.Argument(4));
                return true;
            case 69:
                machine.RequireContext(1);
                result = (ulong)Context.FibLookup((FibRoute*)machine.Memory(2, (uint)sizeof(FibRoute)), (int)machine.Argument(3), (FibFlags)machine.Argument(4));
                return true;
            case 152:
                var hop = machine.Argument(2) == 0 ? null : machine.Memory(2, (uint)machine.Argument(3));
                result = (ulong)TcContext.RedirectNeigh((uint)machine.Argument(1), (NextHop*)hop, (int)machine.Argument(3), machine.Argument(4));
                return true;
            case 155:
                result = (ulong)TcContext.RedirectPeer((uint)machine.Argument(1), machine.Argument(2));
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
