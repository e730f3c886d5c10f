using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Samples.Library;

/// <summary>Drops packets by the orders of the process, which come through a ring and count from the next packet on.</summary>
public sealed class ObeyOrders : XdpProgram
{
    public UserRingBuffer<Order> Orders { get; } = new(4096);

    public Global<ulong> Refused { get; } = new();

    private readonly HashMap<uint, uint> _dropped = new(64);

    public override XdpAction Run(ref XdpContext context)
    {
        var obeyed = 0u;
        Orders.Drain(Obey, ref obeyed);
        var key = context.IngressInterface;
        return Unsafe.IsNullRef(ref _dropped.Find(in key)) ? XdpAction.Pass : XdpAction.Drop;
    }

    private LoopControl Obey(in Order order, ref uint obeyed)
    {
        var key = order.Interface;
        var one = 1u;
        if (order.Drop == 0)
        {
            _dropped.Delete(in key);
        }
        else if (_dropped.Update(in key, in one, UpdateMode.Any) != 0)
        {
            Interlocked.Increment(ref Refused.Value);
        }

        obeyed++;
        return LoopControl.Continue;
    }

    public struct Order
    {
        public uint Interface, Drop;
    }
}
