using System.Buffers.Binary;
using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>XDP by <c>RTM_SETLINK</c>, for kernels before 5.9.</summary>
internal sealed class NetlinkXdp(NetlinkSocket socket, KernelHandle program, HookRecord hook) : NetlinkAttachment(socket, program, hook)
{
    // IFLA_XDP and its attributes, linux/if_link.h
    private const ushort Xdp = 43, Descriptor = 1, Flags = 3, AttachedProgramId = 4, ExpectedDescriptor = 8;
    private const uint OnlyIfNone = 1, OnlyIfExpected = 16;

    internal static NetlinkXdp Attach(LoadedProgram program, int interfaceIndex, XdpMode mode)
    {
        // Everything that can fail comes before the attachment: nobody would own it after a failure.
        var own = Reopen(program.Id);
        NetlinkSocket? socket = null;
        try
        {
            socket = new NetlinkSocket();
            using var lease = program.Handle.Borrow();
            Set(socket, interfaceIndex, lease.Descriptor, (uint)mode | OnlyIfNone, null, "Attaching an XDP program by netlink failed");
            var hook = new HookRecord(HookRecord.ExpectedMagic, program.Id, ProgramType.Xdp, interfaceIndex, 0, 0, mode);
            return new NetlinkXdp(socket, own, hook);
        }
        catch
        {
            own.Dispose();
            socket?.Dispose();
            throw;
        }
    }

    /// <summary>Number of the XDP program that is on the interface of the hook, 0 when there is none.</summary>
    internal static uint ProgramAt(NetlinkSocket socket, HookRecord hook)
    {
        var id = 0u;
        socket.Send(new NetlinkMessage(NetlinkMessage.GetLink, NetlinkMessage.Dump).AddLinkHeader(0), payload =>
        {
            // ifinfomsg takes 16 bytes, the index is at 4.
            if (BinaryPrimitives.ReadInt32LittleEndian(payload[4..]) == hook.Interface)
            {
                id = NetlinkMessage.FindNumber(NetlinkMessage.Find(payload[16..], Xdp), AttachedProgramId);
            }
        });
        return id;
    }

    private protected override void Remove()
    {
        // Only our own program: EEXIST says that another one took its place, or that none is there.
        using var current = Program.Borrow();
        Socket.RequireGone(
            Request(Hook.Interface, -1, (uint)Hook.Mode | OnlyIfExpected, current.Descriptor), "Detaching an XDP program by netlink failed", Errno.Exists);
    }

    private protected override void Replace(LoadedProgram program)
    {
        using var replacement = program.Handle.Borrow();
        using var current = Program.Borrow();
        Set(
            Socket, Hook.Interface, replacement.Descriptor, (uint)Hook.Mode | OnlyIfExpected, current.Descriptor,
            "Replacing an XDP program by netlink failed");
    }

    private static void Set(NetlinkSocket socket, int interfaceIndex, int descriptor, uint flags, int? expected, string what) =>
        socket.Require(Request(interfaceIndex, descriptor, flags, expected), what);

    private static NetlinkMessage Request(int interfaceIndex, int descriptor, uint flags, int? expected) =>
        new NetlinkMessage(NetlinkMessage.SetLink, 0).AddLinkHeader(interfaceIndex).Nest(Xdp, xdp =>
        {
            xdp.Attribute(Descriptor, (uint)descriptor).Attribute(Flags, flags);
            if (expected is { } number)
            {
                xdp.Attribute(ExpectedDescriptor, (uint)number);
            }
        });
}
