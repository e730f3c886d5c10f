using Skep.Bpf.Programming;
using Skep.Flows.Kernel;

namespace Skep.Flows;

/// <summary>Changes of a TCP socket's state (tracepoint <c>inet_sock_set_state</c>, kernel 4.16).</summary>
public sealed unsafe class SocketStateProgram(KernelEventMaps maps) : RawTracepointProgram
{
    private readonly EventRecorder _recorder = new(maps);

    /// <inheritdoc/>
    public override string Name => "skep_states";

    /// <inheritdoc/>
    public override string Tracepoint => "inet_sock_set_state";

    /// <inheritdoc/>
    public override void Run(ref RawTracepointContext context)
    {
        // TP_PROTO(const struct sock *sk, const int oldstate, const int newstate)
        var key = default(KernelEventKey);
        context.Pointer<Sock>(0)->ReadAddresses(ref key);
        _recorder.Record(in key, (context.Value(1) << 32) | (uint)context.Value(2));
    }
}
