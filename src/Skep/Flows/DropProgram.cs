using Skep.Bpf.Programming;
using Skep.Flows.Kernel;

namespace Skep.Flows;

/// <summary>Packets that the network stack drops, with the reason and the place (tracepoint <c>kfree_skb</c>; reasons since kernel 5.17).</summary>
public sealed unsafe class DropProgram(KernelEventMaps maps) : RawTracepointProgram
{
    private readonly EventRecorder _recorder = new(maps);

    /// <inheritdoc/>
    public override string Name => "skep_drops";

    /// <inheritdoc/>
    public override string Tracepoint => "kfree_skb";

    /// <inheritdoc/>
    public override void Run(ref RawTracepointContext context)
    {
        // TP_PROTO(struct sk_buff *skb, void *location, enum skb_drop_reason reason, struct sock *rx_sk)
        var buffer = context.Pointer<SkBuff>(0);
        var key = default(KernelEventKey);
        key.Reason = (uint)context.Value(2);
        key.Interface = buffer->IngressInterface;
        buffer->ReadAddresses(ref key);
        _recorder.Record(in key, context.Value(1));
    }
}
