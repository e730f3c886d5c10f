using System.Buffers.Binary;
using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>XDP by <c>RTM_SETLINK</c>, for kernels before 5.9.</summary>
internal sealed class NetlinkXdp : NetlinkAttachment
{
    // IFLA_XDP and its attributes, linux/if_link.h
    private const ushort Xdp = 43, Descriptor = 1, Attached = 2, Flags = 3, AttachedProgramId = 4, ExpectedDescriptor = 8;
    private const byte AttachedGeneric = 2;
    private const uint OnlyIfNone = 1, OnlyIfExpected = 16;

    private readonly XdpMode _mode;

    internal NetlinkXdp(NetlinkSocket socket, KernelHandle program, uint programId, int interfaceIndex, XdpMode mode)
        : base(socket, program, programId, interfaceIndex) => _mode = mode;

    internal static NetlinkXdp Attach(LoadedProgram program, int interfaceIndex, XdpMode mode)
    {
        var socket = new NetlinkSocket();
        try
        {
            using var lease = program.Handle.Borrow();
            Set(socket, interfaceIndex, lease.Descriptor, (uint)mode | OnlyIfNone, null, "Attaching an XDP program by netlink failed");
            return new NetlinkXdp(socket, Reopen(program), program.Id, interfaceIndex, mode);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>The interface that has the program with that number, and the mode it runs in; or null.</summary>
    internal static (int Interface, XdpMode Mode)? FindHook(NetlinkSocket socket, uint programId)
    {
        (int, XdpMode)? found = null;
        socket.Send(new NetlinkMessage(NetlinkMessage.GetLink, NetlinkMessage.Dump).AddLinkHeader(0), payload =>
        {
            // ifinfomsg takes 16 bytes, the index is at 4.
            var xdp = NetlinkMessage.Find(payload[16..], Xdp);
            if (NetlinkMessage.FindNumber(xdp, AttachedProgramId) == programId)
            {
                var generic = NetlinkMessage.Find(xdp, Attached) is [AttachedGeneric, ..];
                found = (BinaryPrimitives.ReadInt32LittleEndian(payload[4..]), generic ? XdpMode.Generic : XdpMode.Native);
            }
        });
        return found;
    }

    internal override void Detach()
    {
        Detached = true;
        Set(Socket, InterfaceIndex, -1, (uint)_mode, null, "Detaching an XDP program by netlink failed");
    }

    private protected override void Replace(LoadedProgram program)
    {
        using var replacement = program.Handle.Borrow();
        using var current = Program.Borrow();
        Set(
            Socket, InterfaceIndex, replacement.Descriptor, (uint)_mode | OnlyIfExpected, current.Descriptor,
            "Replacing an XDP program by netlink failed");
    }

    private static void Set(NetlinkSocket socket, int interfaceIndex, int descriptor, uint flags, int? expected, string what) =>
        socket.Require(
            new NetlinkMessage(NetlinkMessage.SetLink, 0).AddLinkHeader(interfaceIndex).Nest(Xdp, xdp =>
            {
                xdp.Attribute(Descriptor, (uint)descriptor).Attribute(Flags, flags);
                if (expected is { } number)
                {
                    xdp.Attribute(ExpectedDescriptor, (uint)number);
                }
            }),
            what);
}
