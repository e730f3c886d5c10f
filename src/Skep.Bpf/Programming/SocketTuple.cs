using System.Runtime.InteropServices;

namespace Skep.Bpf.Programming;

/// <summary>
/// Addresses and ports of a socket over IPv4, as the packet has them (<c>struct bpf_sock_tuple</c>): source 4, destination 4, source port 2, destination port 2, all in
/// network byte order.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct SocketTuple4
{
    /// <summary>Sender, as loaded.</summary>
    public uint RawSource;

    /// <summary>Receiver, as loaded.</summary>
    public uint RawDestination;

    /// <summary>Port of the sender in the lower half, of the receiver in the upper, as loaded.</summary>
    public uint RawPorts;
}

/// <summary>
/// Addresses and ports of a socket over IPv6, as the packet has them (<c>struct bpf_sock_tuple</c>): source 16, destination 16, source port 2, destination port 2, all in
/// network byte order.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct SocketTuple6
{
#pragma warning disable CS1591 // words of the addresses, as loaded
    public uint Source0;
    public uint Source1;
    public uint Source2;
    public uint Source3;
    public uint Destination0;
    public uint Destination1;
    public uint Destination2;
    public uint Destination3;
#pragma warning restore CS1591

    /// <summary>Port of the sender in the lower half, of the receiver in the upper, as loaded.</summary>
    public uint RawPorts;
}

/// <summary>States of TCP sockets (<c>include/net/tcp_states.h</c>).</summary>
public enum SocketState : uint
{
    /// <summary>Connected.</summary>
    Established = 1,
    /// <summary>SYN was sent.</summary>
    SynSent = 2,
    /// <summary>SYN came in.</summary>
    SynReceived = 3,
    /// <summary>Both ends have said goodbye, and the ports are not used for a while.</summary>
    TimeWait = 6,
    /// <summary>Waits for connections.</summary>
    Listen = 10,
    /// <summary>SYN came in, and there is no socket of its own yet.</summary>
    NewSynReceived = 12,
}
