namespace Skep.Bpf.Programming;

/// <summary>A program on a route: <c>lwt_in</c>, <c>lwt_out</c>, <c>lwt_xmit</c> (kernel 4.10) or <c>lwt_seg6local</c> (4.18). Packets begin at the IP header.</summary>
public abstract class LwtProgram : BpfProgram<SkbContext, LwtAction>;

/// <summary>Verdict of a program on a route (<c>enum bpf_ret_code</c>).</summary>
public enum LwtAction
{
    /// <summary>Goes on.</summary>
    Ok = 0,
    /// <summary>Dropped.</summary>
    Drop = 2,
    /// <summary>To the target set by a redirect helper; <c>lwt_xmit</c> and <c>lwt_seg6local</c>.</summary>
    Redirect = 7,
    /// <summary>Routed again, because the header changed (kernel 5.1).</summary>
    Reroute = 128,
}

/// <summary>A program that finds the fields a packet is hashed by, instead of the kernel (kernel 4.20).</summary>
public abstract class FlowDissectorProgram : BpfProgram<FlowDissectorContext, FlowDissectorVerdict>
{
    /// <inheritdoc/>
    public sealed override string Section => "flow_dissector";
}

/// <summary>Verdict of a flow dissector (<c>enum bpf_ret_code</c>).</summary>
public enum FlowDissectorVerdict
{
    /// <summary>The keys are filled in.</summary>
    Ok = 0,
    /// <summary>The packet cannot be dissected.</summary>
    Drop = 2,
    /// <summary>The kernel's own dissector does it (kernel 6.1).</summary>
    Continue = 129,
}

/// <summary>A program on a hook of netfilter (kernel 6.4).</summary>
public abstract class NetfilterProgram : BpfProgram<NetfilterContext, NetfilterVerdict>
{
    /// <inheritdoc/>
    public sealed override string Section => "netfilter";
}

/// <summary>Verdict of a netfilter program (<c>linux/netfilter.h</c>); others are refused by the kernel.</summary>
public enum NetfilterVerdict
{
    /// <summary>Dropped.</summary>
    Drop = 0,
    /// <summary>On to the next hook.</summary>
    Accept = 1,
}

/// <summary>A packet at a hook of netfilter: two pointers to structs of the kernel (<c>struct bpf_nf_ctx</c>).</summary>
[KernelContext("bpf_nf_ctx")]
public unsafe struct NetfilterContext
{
    /// <summary>Hook and devices (<c>struct nf_hook_state</c>), as a view marked with <see cref="KernelStructAttribute"/>.</summary>
    /// <typeparam name="T">The view.</typeparam>
    [ContextField(0, 8)]
    public readonly T* State<T>()
        where T : unmanaged => (T*)HookState;

    /// <summary>The packet (<c>struct sk_buff</c>), as a view marked with <see cref="KernelStructAttribute"/>.</summary>
    /// <typeparam name="T">The view.</typeparam>
    [ContextField(8, 8)]
    public readonly T* Packet<T>()
        where T : unmanaged => (T*)SocketBuffer;

    /// <summary>In the process: where the hook state stands.</summary>
    public nint HookState { private readonly get; init; }

    /// <summary>In the process: where the socket buffer stands.</summary>
    public nint SocketBuffer { private readonly get; init; }
}
