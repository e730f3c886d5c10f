using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Balancing.Sockets;

/// <summary>
/// Balances what the processes of this host begin, at the socket: connect and sendmsg are given a backend in place of the service, and nothing is left to do for
/// any packet. What a process asks about its peer (recvmsg, getpeername) is answered with the service. One object for each hook, all over the same maps.
/// </summary>
/// <remarks>
/// IPv4-mapped addresses of IPv6 sockets need no code of their own: <see cref="IpAddress"/> is that form. A TCP connection keeps its backend as long as it lives, and
/// so does a connected UDP socket; an unconnected one keeps it as long as the backend is one, and then is given another.
/// </remarks>
public sealed class SocketBalancerProgram : CgroupSockAddrProgram
{
    // Slots that are tried when the backend of one is gone from the service.
    private const int MaxAttempts = 4;

    private const int ConnectionRefused = 111;

    private readonly HashMap<ServiceKey, uint> _forHosts;
    private readonly LruHashMap<SocketKey, SocketPeer> _peers;
    private readonly HashMap<ServiceKey, ServiceEntry> _services;
    private readonly ArrayMap<BackendEntry> _backends;
    private readonly PerCpuArrayMap<BackendCounter> _counters;
    private readonly RingReader _ring;
    private readonly bool _isIPv6;
    private readonly bool _givesService;
    private readonly bool _isMessage;
    private readonly bool _saysWhy;

    /// <summary>A program for one hook.</summary>
    /// <param name="maps">Services and backends.</param>
    /// <param name="sockets">What sockets were given.</param>
    /// <param name="hook">The hook.</param>
    /// <param name="saysWhy">Whether a service without backends is refused as ECONNREFUSED (kernel 5.18) and not as EPERM.</param>
    public SocketBalancerProgram(BalancerMaps maps, SocketMaps sockets, SocketHook hook, bool saysWhy)
    {
        ArgumentNullException.ThrowIfNull(maps);
        ArgumentNullException.ThrowIfNull(sockets);
        _forHosts = sockets.Services;
        _peers = sockets.Peers;
        _services = maps.Services;
        _backends = maps.Backends;
        _counters = maps.BackendCounters;
        _ring = new RingReader(maps);
        _isIPv6 = hook is SocketHook.Connect6 or SocketHook.SendMessage6 or SocketHook.ReceiveMessage6 or SocketHook.PeerName6;
        _givesService = hook >= SocketHook.ReceiveMessage4;
        _isMessage = hook is SocketHook.SendMessage4 or SocketHook.SendMessage6;
        _saysWhy = saysWhy;
        Section = SectionOf(hook);
        Name = "skep_" + Section["cgroup/".Length..];
    }

    /// <inheritdoc/>
    public override string Name { get; }

    /// <inheritdoc/>
    public override string Section { get; }

    /// <inheritdoc/>
    public override CgroupVerdict Run(ref CgroupSockAddrContext context)
    {
        if (_givesService)
        {
            Restore(ref context);
            return CgroupVerdict.Allow;
        }

        ServiceKey key;
        key.Address = AddressOf(ref context);
        key.RawPort = context.UserPort;
        key.Protocol = context.Protocol;
        if (Unsafe.IsNullRef(ref _forHosts.Find(in key)))
        {
            return CgroupVerdict.Allow;
        }

        SocketKey forward;
        forward.Cookie = context.GetSocketCookie();
        forward.Address = key.Address;
        forward.RawPort = key.RawPort;
        forward.Protocol = (ushort)key.Protocol;
        forward.Direction = (ushort)ConnectionDirection.Forward;
        if (_isMessage && TryKnown(ref context, in forward))
        {
            return CgroupVerdict.Allow;
        }

        return Choose(ref context, in key, in forward);
    }

    private CgroupVerdict Choose(ref CgroupSockAddrContext context, in ServiceKey key, in SocketKey forward)
    {
        ref var service = ref _services.Find(in key);
        if (Unsafe.IsNullRef(ref service))
        {
            return CgroupVerdict.Allow;
        }

        var slot = SlotOf(in forward, service.RingSlots);
        for (var attempt = 0; attempt < MaxAttempts; attempt++)
        {
            var id = _ring.IdAt(in service, slot);
            ref var backend = ref _backends.Find(id);
            if (id != 0 && !Unsafe.IsNullRef(ref backend) && backend.InUse != 0 && backend.Service == service.Id)
            {
                SocketPeer chosen;
                chosen.Address = backend.Address;
                chosen.Port = backend.Port;
                chosen.Reserved = 0;
                chosen.Backend = id;
                Give(ref context, in forward, in chosen);
                return CgroupVerdict.Allow;
            }

            slot = slot + 1 < service.RingSlots ? slot + 1 : 0;
        }

        if (_saysWhy)
        {
            CgroupSockAddrContext.SetReturnValue(-ConnectionRefused);
        }

        return CgroupVerdict.Refuse;
    }

    private void Give(ref CgroupSockAddrContext context, in SocketKey forward, in SocketPeer chosen)
    {
        // A full table forgets the oldest; the process then sees the backend as its peer.
        Remember(in forward, in chosen);
        if (_isMessage)
        {
            _peers.Update(in forward, in chosen, UpdateMode.Any);
        }

        ref var counter = ref _counters.Find(chosen.Backend);
        if (!Unsafe.IsNullRef(ref counter))
        {
            counter.Connections++;
        }

        Write(ref context, in chosen.Address, chosen.Port);
    }

    /// <summary>Goes on with the backend that an unconnected socket was given before, while it is one.</summary>
    private bool TryKnown(ref CgroupSockAddrContext context, in SocketKey forward)
    {
        ref var known = ref _peers.Find(in forward);
        if (Unsafe.IsNullRef(ref known))
        {
            return false;
        }

        ref var backend = ref _backends.Find(known.Backend);
        if (Unsafe.IsNullRef(ref backend) || backend.InUse == 0 || backend.Address != known.Address || backend.Port != known.Port)
        {
            return false;
        }

        SocketKey reply;
        reply.Cookie = forward.Cookie;
        reply.Address = known.Address;
        reply.RawPort = known.Port.Raw;
        reply.Protocol = forward.Protocol;
        reply.Direction = (ushort)ConnectionDirection.Reply;
        var chosen = known;
        if (Unsafe.IsNullRef(ref _peers.Find(in reply)))
        {
            Remember(in forward, in chosen);
        }

        Write(ref context, in chosen.Address, chosen.Port);
        return true;
    }

    private void Remember(in SocketKey forward, in SocketPeer chosen)
    {
        SocketKey reply;
        reply.Cookie = forward.Cookie;
        reply.Address = chosen.Address;
        reply.RawPort = chosen.Port.Raw;
        reply.Protocol = forward.Protocol;
        reply.Direction = (ushort)ConnectionDirection.Reply;
        SocketPeer service;
        service.Address = forward.Address;
        service.Port = NetworkUInt16.FromRaw((ushort)forward.RawPort);
        service.Reserved = 0;
        service.Backend = chosen.Backend;
        _peers.Update(in reply, in service, UpdateMode.Any);
    }

    private void Restore(ref CgroupSockAddrContext context)
    {
        SocketKey reply;
        reply.Cookie = context.GetSocketCookie();
        reply.Address = AddressOf(ref context);
        reply.RawPort = context.UserPort;
        reply.Protocol = (ushort)context.Protocol;
        reply.Direction = (ushort)ConnectionDirection.Reply;
        ref var service = ref _peers.Find(in reply);
        if (!Unsafe.IsNullRef(ref service))
        {
            var address = service.Address;
            Write(ref context, in address, service.Port);
        }
    }

    // Cookies are counted up. Multiply and fold, as for packets: each bit reaches the upper half, which a multiplication maps to the ring.
    private static uint SlotOf(in SocketKey key, uint slots)
    {
        var hash = key.Cookie * 0x9E3779B97F4A7C15;
        hash = (hash ^ (hash >> 32) ^ key.RawPort ^ key.Address.RawLower) * 0xC2B2AE3D27D4EB4F;
        hash = (hash ^ (hash >> 29)) * 0x165667B19E3779F9;
        return (uint)(((hash >> 32) * slots) >> 32);
    }

    private IpAddress AddressOf(ref CgroupSockAddrContext context) => _isIPv6
        ? new IpAddress(context.UserIp6(0) | ((ulong)context.UserIp6(1) << 32), context.UserIp6(2) | ((ulong)context.UserIp6(3) << 32))
        : IpAddress.FromRawIPv4(context.UserIp4);

    private void Write(ref CgroupSockAddrContext context, in IpAddress address, NetworkUInt16 port)
    {
        if (_isIPv6)
        {
            context.SetUserIp6(0, (uint)address.RawUpper);
            context.SetUserIp6(1, (uint)(address.RawUpper >> 32));
            context.SetUserIp6(2, (uint)address.RawLower);
            context.SetUserIp6(3, (uint)(address.RawLower >> 32));
        }
        else
        {
            context.UserIp4 = address.RawIPv4;
        }

        context.UserPort = port.Raw;
    }

    private static string SectionOf(SocketHook hook) => hook switch
    {
        SocketHook.Connect4 => "cgroup/connect4",
        SocketHook.Connect6 => "cgroup/connect6",
        SocketHook.SendMessage4 => "cgroup/sendmsg4",
        SocketHook.SendMessage6 => "cgroup/sendmsg6",
        SocketHook.ReceiveMessage4 => "cgroup/recvmsg4",
        SocketHook.ReceiveMessage6 => "cgroup/recvmsg6",
        SocketHook.PeerName4 => "cgroup/getpeername4",
        _ => "cgroup/getpeername6",
    };
}

/// <summary>Where sockets are balanced: the first four choose a backend, the others show the service.</summary>
public enum SocketHook
{
    /// <summary>connect, IPv4 address.</summary>
    Connect4,
    /// <summary>connect, IPv6 address, IPv4-mapped ones too.</summary>
    Connect6,
    /// <summary>sendmsg of an unconnected UDP socket, IPv4 address; an IPv6 socket that sends to an IPv4-mapped address comes by here.</summary>
    SendMessage4,
    /// <summary>sendmsg of an unconnected UDP socket, IPv6 address.</summary>
    SendMessage6,
    /// <summary>recvmsg of a UDP socket, IPv4 socket.</summary>
    ReceiveMessage4,
    /// <summary>recvmsg of a UDP socket, IPv6 socket.</summary>
    ReceiveMessage6,
    /// <summary>getpeername, IPv4 socket.</summary>
    PeerName4,
    /// <summary>getpeername, IPv6 socket.</summary>
    PeerName6,
}
