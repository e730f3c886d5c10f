using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>Direction of a TC hook.</summary>
public enum TcDirection
{
    /// <summary>Packets that come in.</summary>
    Ingress,
    /// <summary>Packets that go out.</summary>
    Egress,
}

/// <summary>A TC program on an interface (tcx links kernel 6.6, clsact by netlink before).</summary>
public sealed class TcxLink : Link
{
    internal TcxLink(Attachment attachment)
        : base(attachment)
    {
    }

    /// <summary>Attaches a program to an interface of the calling thread's network namespace.</summary>
    /// <param name="program">A TC program (<see cref="ProgramType.SchedCls"/>).</param>
    /// <param name="interfaceIndex">Index of the interface.</param>
    /// <param name="direction">Ingress or egress.</param>
    /// <param name="anchor">The place among the programs that are there, after them when null; only tcx keeps to it, clsact goes after.</param>
    /// <exception cref="BpfException">ENODEV; EINVAL when the program is of another type.</exception>
    public static TcxLink Attach(LoadedProgram program, int interfaceIndex, TcDirection direction, LinkAnchor? anchor = null)
    {
        ArgumentNullException.ThrowIfNull(program);
        var attachType = direction == TcDirection.Ingress ? AttachType.TcxIngress : AttachType.TcxEgress;
        var place = anchor ?? LinkAnchor.Last;
        var attributes = new LinkCreateAttributes { Target = interfaceIndex, AttachType = attachType, Flags = place.Flags, Relative = place.Id };
        var status = KernelLink.Create(program, ref attributes, out var link);
        if (status == 0)
        {
            return new TcxLink(link);
        }

        // A kernel without tcx says EINVAL, as for a program of the wrong type: netlink then says which.
        return status == -Errno.Invalid
            ? AttachByNetlink(program, interfaceIndex, direction)
            : throw new BpfException($"Attaching program '{program.Name}' to interface {interfaceIndex} (tcx, {direction}) failed", status);
    }

    /// <summary>
    /// Attaches as a clsact filter even where the kernel has tcx: it then lasts until it is detached, whoever ends.
    /// </summary>
    /// <exception cref="BpfException">As for <see cref="Attach"/>.</exception>
    public static TcxLink AttachByNetlink(LoadedProgram program, int interfaceIndex, TcDirection direction)
    {
        ArgumentNullException.ThrowIfNull(program);
        return new TcxLink(NetlinkFilter.Attach(program, interfaceIndex, direction));
    }
}
