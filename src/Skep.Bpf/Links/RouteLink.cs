using System.Net;
using System.Net.Sockets;
using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>A route with a program (light-weight tunnel, kernel 4.10), which goes when the link does.</summary>
public sealed class RouteLink : Link
{
    private RouteLink(Attachment attachment)
        : base(attachment)
    {
    }

    /// <summary>Adds a route to the main table of the calling thread's network namespace that runs the program on its packets.</summary>
    /// <param name="program">An LWT program: its type says when it runs.</param>
    /// <param name="destination">Where the packets go.</param>
    /// <param name="interfaceIndex">The interface they leave by.</param>
    /// <exception cref="BpfException">EEXIST when there is such a route; EOPNOTSUPP when the kernel has no CONFIG_LWTUNNEL_BPF; ENETUNREACH when the interface is down.</exception>
    public static RouteLink Attach(LoadedProgram program, IPNetwork destination, int interfaceIndex)
    {
        ArgumentNullException.ThrowIfNull(program);
        return new RouteLink(RouteAttachment.Attach(program, destination, interfaceIndex));
    }
}

/// <summary>A route with a program, by netlink.</summary>
internal sealed class RouteAttachment : Attachment
{
    // linux/rtnetlink.h, linux/lwtunnel.h, linux/seg6_local.h
    private const ushort Destination = 1, OutInterface = 4, EncapsulationType = 21, Encapsulation = 22;
    private const ushort BpfEncapsulation = 6, Seg6LocalEncapsulation = 7, ProgramDescriptor = 1, ProgramName = 2;
    private const ushort Seg6Action = 1, Seg6Bpf = 8;
    private const uint EndBpf = 15, MainTable = 254, StaticProtocol = 4, LinkScope = 253, Unicast = 1;

    private readonly NetlinkSocket _socket;
    private readonly IPNetwork _destination;
    private readonly int _interface;
    private uint _programId;
    private bool _detached;

    private RouteAttachment(NetlinkSocket socket, IPNetwork destination, int interfaceIndex) =>
        (_socket, _destination, _interface) = (socket, destination, interfaceIndex);

    internal override uint LinkId => 0;

    internal override uint ProgramId => _programId;

    internal override int InterfaceIndex => _interface;

    internal static RouteAttachment Attach(LoadedProgram program, IPNetwork destination, int interfaceIndex)
    {
        var socket = new NetlinkSocket();
        try
        {
            var result = new RouteAttachment(socket, destination, interfaceIndex);
            result.Set(program, NetlinkMessage.Create | NetlinkMessage.Exclusive, $"Adding the route to {destination} with program '{program.Name}' failed");
            return result;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    internal override void Pin(string path) =>
        throw new NotSupportedException("A route with a program cannot be pinned; the kernel has no link for it. 'ip route' keeps one without the process.");

    internal override void Update(LoadedProgram program) =>
        Set(program, NetlinkMessage.Create | NetlinkMessage.Replace, $"Replacing the program of the route to {_destination} by '{program.Name}' failed");

    internal override void Detach()
    {
        _detached = true;
        _socket.RequireGone(Route(NetlinkMessage.DeleteRoute, 0), $"Removing the route to {_destination} failed");
    }

    internal override void Close()
    {
        try
        {
            if (!_detached)
            {
                Detach();
            }
        }
        finally
        {
            _socket.Dispose();
        }
    }

    private void Set(LoadedProgram program, ushort flags, string failure)
    {
        using var lease = program.Handle.Borrow();
        var descriptor = (uint)lease.Descriptor;
        void Program(NetlinkMessage message) => message.Attribute(ProgramDescriptor, descriptor).Attribute(ProgramName, program.Name);
        var route = Route(NetlinkMessage.NewRoute, flags);
        if (program.Type == ProgramType.LwtSeg6Local)
        {
            route.Attribute(EncapsulationType, BitConverter.GetBytes(Seg6LocalEncapsulation))
                .Nest(Encapsulation, e => e.Attribute(Seg6Action, EndBpf).Nest(Seg6Bpf, Program));
        }
        else
        {
            // LWT_BPF_IN, LWT_BPF_OUT, LWT_BPF_XMIT
            ushort hook = program.Type switch
            {
                ProgramType.LwtIn => 1,
                ProgramType.LwtOut => 2,
                ProgramType.LwtXmit => 3,
                _ => throw new ArgumentException($"Program '{program.Name}' is of type {program.Type}; a route takes LWT programs.", nameof(program)),
            };
            route.Attribute(EncapsulationType, BitConverter.GetBytes(BpfEncapsulation)).Nest(Encapsulation, e => e.Nest(hook, Program));
        }

        _socket.Require(route, failure);
        _programId = program.Id;
    }

    /// <summary>Begins with <c>rtmsg</c>: family:1 dst_len:1 src_len:1 tos:1   table:1 protocol:1 scope:1 type:1   flags:4.</summary>
    private NetlinkMessage Route(ushort type, ushort flags)
    {
        var isIp4 = _destination.BaseAddress.AddressFamily == AddressFamily.InterNetwork;
        var scope = isIp4 ? LinkScope : 0;
        return new NetlinkMessage(type, flags)
            .Add((isIp4 ? 2u : 10u) | ((uint)_destination.PrefixLength << 8))
            .Add(MainTable | (StaticProtocol << 8) | (scope << 16) | (Unicast << 24))
            .Add(0)
            .Attribute(Destination, _destination.BaseAddress.GetAddressBytes())
            .Attribute(OutInterface, (uint)_interface);
    }
}
