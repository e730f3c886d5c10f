using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>An XDP program on an interface (by link kernel 5.9, by netlink before).</summary>
public sealed class XdpLink : Link
{
    private readonly XdpMode? _mode;

    internal XdpLink(Attachment attachment, XdpMode? mode = null)
        : base(attachment) => _mode = mode;

    /// <summary>The mode the program runs in; null when the link was opened from a pin.</summary>
    public XdpMode? Mode => _mode;

    /// <summary>Attaches a program to an interface of the calling thread's network namespace.</summary>
    /// <param name="program">An XDP program.</param>
    /// <param name="interfaceIndex">Index of the interface.</param>
    /// <param name="mode">Native, generic, or native with generic as second choice.</param>
    /// <exception cref="BpfException">EBUSY or EEXIST when a program is there already; ENODEV; EOPNOTSUPP when the driver has no XDP.</exception>
    public static XdpLink Attach(LoadedProgram program, int interfaceIndex, XdpMode mode = XdpMode.Auto)
    {
        ArgumentNullException.ThrowIfNull(program);
        var status = 0;
        foreach (var candidate in Candidates(mode))
        {
            var attributes = new LinkCreateAttributes { Target = interfaceIndex, AttachType = AttachType.Xdp, Flags = (uint)candidate };
            status = KernelLink.Create(program, ref attributes, out var link);
            if (status == 0)
            {
                return new XdpLink(link, candidate);
            }

            if (!MayTryNext(status))
            {
                break;
            }
        }

        var refusal = new BpfException($"Attaching program '{program.Name}' to interface {interfaceIndex} (XDP, {mode}) failed{Hint(status)}", status);

        // A kernel without XDP links says EINVAL, and so does a newer one of a missing device: netlink tells them apart.
        if (status != -Errno.Invalid)
        {
            throw refusal;
        }

        return TryByNetlink(program, interfaceIndex, mode, out var failure)
            ?? throw (failure!.ErrorNumber == Errno.Invalid ? refusal : failure);
    }

    /// <summary>Attaches by netlink even where the kernel has links: the attachment then lasts until it is detached, whoever ends.</summary>
    /// <exception cref="BpfException">As for <see cref="Attach"/>.</exception>
    public static XdpLink AttachByNetlink(LoadedProgram program, int interfaceIndex, XdpMode mode = XdpMode.Auto)
    {
        ArgumentNullException.ThrowIfNull(program);
        return TryByNetlink(program, interfaceIndex, mode, out var failure) ?? throw failure!;
    }

    private static XdpLink? TryByNetlink(LoadedProgram program, int interfaceIndex, XdpMode mode, out BpfException? failure)
    {
        failure = null;
        foreach (var candidate in Candidates(mode))
        {
            try
            {
                return new XdpLink(NetlinkXdp.Attach(program, interfaceIndex, candidate), candidate);
            }
            catch (BpfException e)
            {
                failure = e;
                if (!MayTryNext(-e.ErrorNumber))
                {
                    break;
                }
            }
        }

        return null;
    }

    private static XdpMode[] Candidates(XdpMode mode) => mode == XdpMode.Auto ? [XdpMode.Native, XdpMode.Generic] : [mode];

    // These would be the same in the other mode.
    private static bool MayTryNext(int status) =>
        -status is not (Errno.Permission or Errno.Busy or Errno.Exists or Errno.NoDevice or Errno.BadDescriptor);

    private static string Hint(int status) => -status switch
    {
        Errno.Busy or Errno.Exists => "; another XDP program is attached there",
        Errno.NotSupported => "; the driver has no native XDP, the generic mode works on any device",
        _ => "",
    };
}
