using Skep.Bpf.Programming;
using Skep.Flows.Kernel;

namespace Skep.Flows;

/// <summary>TCP segments that this host sends again (tracepoint <c>tcp_retransmit_skb</c>, kernel 4.15).</summary>
public sealed unsafe class RetransmitProgram(KernelEventMaps maps) : RawTracepointProgram
{
    private readonly EventRecorder _recorder = new(maps);

    /// <inheritdoc/>
    public override string Name => "skep_rexmits";

    /// <inheritdoc/>
    public override string Tracepoint => "tcp_retransmit_skb";

    /// <inheritdoc/>
    public override void Run(ref RawTracepointContext context)
    {
        // TP_PROTO(const struct sock *sk, const struct sk_buff *skb, int err)
        var key = default(KernelEventKey);
        context.Pointer<Sock>(0)->ReadAddresses(ref key);
        _recorder.Record(in key, 0);
    }
}
