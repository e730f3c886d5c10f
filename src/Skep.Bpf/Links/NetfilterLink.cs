using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>Protocol families of netfilter hooks (<c>NFPROTO_*</c>) that take programs.</summary>
public enum NetfilterFamily
{
    /// <summary>IPv4.</summary>
    Ip4 = 2,
    /// <summary>IPv6.</summary>
    Ip6 = 10,
}

/// <summary>Netfilter hooks (<c>enum nf_inet_hooks</c>).</summary>
public enum NetfilterHook
{
    /// <summary>Everything that comes in.</summary>
    PreRouting = 0,
    /// <summary>To this host.</summary>
    LocalIn = 1,
    /// <summary>To another host.</summary>
    Forward = 2,
    /// <summary>From this host.</summary>
    LocalOut = 3,
    /// <summary>Everything that goes out.</summary>
    PostRouting = 4,
}

/// <summary>A program on a hook of netfilter in the calling thread's network namespace (kernel 6.4).</summary>
public sealed class NetfilterLink : Link
{
    private const uint Defragment = 1;

    internal NetfilterLink(KernelLink link)
        : base(link)
    {
    }

    /// <summary>Attaches a program.</summary>
    /// <param name="program">A netfilter program.</param>
    /// <param name="family">IPv4 or IPv6.</param>
    /// <param name="hook">The hook.</param>
    /// <param name="priority">Place on the hook, lower runs earlier: -300 raw, -150 mangle, 0 filter, 100 source NAT; one program for each.</param>
    /// <param name="defragment">Whether fragments are put together before; then the priority must be above -400.</param>
    /// <exception cref="BpfException">EBUSY when a program has that priority; EINVAL for a priority of the kernel's own, a program of another type, or a kernel before 6.4.</exception>
    public static NetfilterLink Attach(LoadedProgram program, NetfilterFamily family, NetfilterHook hook, int priority = 0, bool defragment = false)
    {
        ArgumentNullException.ThrowIfNull(program);
        var attributes = new LinkCreateAttributes
        {
            AttachType = AttachType.Netfilter,
            NetfilterFamily = (uint)family,
            NetfilterHook = (uint)hook,
            NetfilterPriority = priority,
            NetfilterFlags = defragment ? Defragment : 0,
        };
        BpfException.ThrowIfFailed(
            KernelLink.Create(program, ref attributes, out var link), $"Attaching program '{program.Name}' to netfilter ({family}, {hook}, priority {priority}) failed");
        return new NetfilterLink(link);
    }
}
