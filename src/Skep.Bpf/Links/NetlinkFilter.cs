using System.Buffers.Binary;
using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>A BPF filter on the clsact queueing discipline (kernel 4.5), for kernels before tcx.</summary>
internal sealed class NetlinkFilter(NetlinkSocket socket, KernelHandle program, HookRecord hook, bool ownsClsact)
    : NetlinkAttachment(socket, program, hook)
{
    // linux/pkt_sched.h and linux/pkt_cls.h
    private const uint ClsactHandle = 0xffff0000, ClsactParent = 0xfffffff1, IngressParent = 0xfffffff2, EgressParent = 0xfffffff3;
    private const ushort Kind = 1, Options = 2, Descriptor = 6, Name = 7, FilterFlags = 8, FilterProgramId = 11;
    private const uint DirectAction = 1, AnyProtocol = 0x0300, FilterHandle = 1;
    private const uint MostPriorities = 64;

    internal static NetlinkFilter Attach(LoadedProgram program, int interfaceIndex, TcDirection direction)
    {
        // Everything that can fail comes before the attachment: nobody would own it after a failure.
        var own = Reopen(program.Id);
        NetlinkSocket? socket = null;
        try
        {
            socket = new NetlinkSocket();
            var ownsClsact = CreateClsact(socket, interfaceIndex);
            var parent = direction == TcDirection.Ingress ? IngressParent : EgressParent;
            using var lease = program.Handle.Borrow();

            // Several filters of one priority would need handles; each program takes the next free priority, so the order is that of attachment.
            for (var priority = 1u; ; priority++)
            {
                var (status, words) = socket.Send(Filter(
                    NetlinkMessage.NewFilter, NetlinkMessage.Create | NetlinkMessage.Exclusive, interfaceIndex, parent, priority, lease.Descriptor, program.Name));
                if (status == 0)
                {
                    var hook = new HookRecord(HookRecord.ExpectedMagic, program.Id, program.Type, interfaceIndex, parent, priority, default);
                    return new NetlinkFilter(socket, own, hook, ownsClsact);
                }

                if (status is not (-Errno.Exists or -Errno.Invalid) || priority == MostPriorities)
                {
                    throw new BpfException($"Attaching program '{program.Name}' to interface {interfaceIndex} (clsact, {direction}) failed ({words})", status);
                }
            }
        }
        catch
        {
            own.Dispose();
            socket?.Dispose();
            throw;
        }
    }

    /// <summary>Number of the program of the filter at the hook, 0 when there is none.</summary>
    internal static uint ProgramAt(NetlinkSocket socket, HookRecord hook)
    {
        var found = 0u;
        VisitFilters(socket, hook.Interface, hook.Parent, (priority, id) => found = priority == hook.Priority ? id : found);
        return found;
    }

    private protected override void Remove()
    {
        Socket.RequireGone(
            new NetlinkMessage(NetlinkMessage.DeleteFilter, 0)
                .AddTrafficControlHeader(Hook.Interface, FilterHandle, Hook.Parent, (Hook.Priority << 16) | AnyProtocol)
                .Attribute(Kind, "bpf"),
            "Detaching a clsact filter failed");
        var others = 0;
        VisitFilters(Socket, Hook.Interface, IngressParent, (_, _) => others++);
        VisitFilters(Socket, Hook.Interface, EgressParent, (_, _) => others++);
        if (ownsClsact && others == 0)
        {
            Socket.RequireGone(Clsact(NetlinkMessage.DeleteQdisc, 0, Hook.Interface), "Removing the clsact queueing discipline failed");
        }
    }

    private protected override void Replace(LoadedProgram program)
    {
        using var replacement = program.Handle.Borrow();
        Socket.Require(
            Filter(NetlinkMessage.NewFilter, NetlinkMessage.Create | NetlinkMessage.Replace, Hook.Interface, Hook.Parent, Hook.Priority, replacement.Descriptor, program.Name),
            "Replacing a clsact filter failed");
    }

    private static bool CreateClsact(NetlinkSocket socket, int interfaceIndex)
    {
        var (status, words) = socket.Send(Clsact(NetlinkMessage.NewQdisc, NetlinkMessage.Create | NetlinkMessage.Exclusive, interfaceIndex));
        return status is 0 or -Errno.Exists
            ? status == 0
            : throw new BpfException($"Creating the clsact queueing discipline on interface {interfaceIndex} failed ({words})", status);
    }

    private static NetlinkMessage Clsact(ushort type, ushort flags, int interfaceIndex) =>
        new NetlinkMessage(type, flags).AddTrafficControlHeader(interfaceIndex, ClsactHandle, ClsactParent, 0).Attribute(Kind, "clsact");

    private static NetlinkMessage Filter(
        ushort type, ushort flags, int interfaceIndex, uint parent, uint priority, int descriptor, string name) =>
        new NetlinkMessage(type, flags)
            .AddTrafficControlHeader(interfaceIndex, FilterHandle, parent, (priority << 16) | AnyProtocol)
            .Attribute(Kind, "bpf")
            .Nest(Options, options => options.Attribute(Descriptor, (uint)descriptor).Attribute(Name, name).Attribute(FilterFlags, DirectAction));

    private static void VisitFilters(NetlinkSocket socket, int interfaceIndex, uint parent, Action<uint, uint> visit) =>
        socket.Send(
            new NetlinkMessage(NetlinkMessage.GetFilter, NetlinkMessage.Dump).AddTrafficControlHeader(interfaceIndex, 0, parent, 0),
            payload =>
            {
                // tcmsg takes 20 bytes: the handle is at 8, priority and protocol at 16. A priority without filters has handle 0.
                if (BinaryPrimitives.ReadUInt32LittleEndian(payload[8..]) != 0)
                {
                    var id = NetlinkMessage.FindNumber(NetlinkMessage.Find(payload[20..], Options), FilterProgramId);
                    visit(BinaryPrimitives.ReadUInt32LittleEndian(payload[16..]) >> 16, id);
                }
            });
}
