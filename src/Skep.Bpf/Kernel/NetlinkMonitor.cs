using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Skep.Bpf.Kernel;

/// <summary>What reading of a <see cref="NetlinkMonitor"/> came to.</summary>
internal enum NetlinkReading
{
    /// <summary>Nothing was told meanwhile.</summary>
    Quiet,
    /// <summary>Something was.</summary>
    Heard,
    /// <summary>More was told than the socket holds (ENOBUFS): what is known has to be read again.</summary>
    Lost,
}

/// <summary>Hears what rtnetlink tells everybody: links, addresses, routes, neighbours. It stays in the network namespace of the thread that opened it.</summary>
internal sealed unsafe class NetlinkMonitor : IDisposable
{
    // 1 << (RTNLGRP_* - 1), linux/rtnetlink.h. Next hops as objects: kernel 5.3; what a kernel does not know it never tells.
    internal const uint Links = 1, Neighbours = 4, IPv4Addresses = 0x10, IPv4Routes = 0x40, IPv4Rules = 0x80, IPv6Addresses = 0x100, IPv6Routes = 0x400, IPv6Rules = 1 << 18,
        NextHops = 1u << 31;

    private const int BufferSize = 1 << 16;

    private readonly KernelHandle _handle;
    private readonly byte[] _buffer = new byte[BufferSize];

    /// <summary>Listens to groups.</summary>
    /// <param name="groups">The groups.</param>
    /// <param name="patience">How long <see cref="Read"/> waits when nothing is told.</param>
    /// <param name="held">Bytes that the socket holds; 0 for what the system gives.</param>
    /// <exception cref="BpfException">The kernel refused.</exception>
    internal NetlinkMonitor(uint groups, TimeSpan patience, int held = 0)
    {
        var descriptor = LibC.socket(LibC.AF_NETLINK, LibC.SOCK_RAW | LibC.SOCK_CLOEXEC, LibC.NETLINK_ROUTE);
        if (descriptor < 0)
        {
            throw new BpfException("Opening a netlink socket failed", Marshal.GetLastPInvokeError());
        }

        _handle = new KernelHandle(descriptor);
        // struct timeval: seconds 8, microseconds 8.
        var wait = stackalloc long[] { patience.Ticks / TimeSpan.TicksPerSecond, patience.Ticks % TimeSpan.TicksPerSecond / TimeSpan.TicksPerMicrosecond };
        _ = LibC.setsockopt(descriptor, LibC.SOL_SOCKET, LibC.SO_RCVTIMEO, wait, 2 * sizeof(long));
        if (held > 0)
        {
            _ = LibC.setsockopt(descriptor, LibC.SOL_SOCKET, LibC.SO_RCVBUF, &held, sizeof(int));
        }

        // struct sockaddr_nl: family 2, padding 2, port 4, groups 4.
        var address = stackalloc uint[] { LibC.AF_NETLINK, 0, groups };
        if (LibC.bind(descriptor, address, 3 * sizeof(uint)) < 0)
        {
            var error = Marshal.GetLastPInvokeError();
            _handle.Dispose();
            throw new BpfException("Listening to rtnetlink failed", error);
        }
    }

    internal delegate void Visit(ushort type, ReadOnlySpan<byte> payload);

    /// <summary>Waits for something to be told, and gives types and payloads of the messages to <paramref name="visit"/>. Not for concurrent use.</summary>
    /// <exception cref="BpfException">The socket failed for good.</exception>
    internal NetlinkReading Read(Visit visit)
    {
        using var lease = _handle.Borrow();
        nint received;
        fixed (byte* pointer = _buffer)
        {
            received = LibC.recv(lease.Descriptor, pointer, _buffer.Length, 0);
        }

        if (received < 0)
        {
            return Marshal.GetLastPInvokeError() switch
            {
                Errno.NoBuffers => NetlinkReading.Lost,
                Errno.TryAgain or Errno.Interrupted => NetlinkReading.Quiet,
                var error => throw new BpfException("Listening to rtnetlink failed", error),
            };
        }

        var rest = _buffer.AsSpan(0, (int)received);
        while (rest.Length >= NetlinkMessage.HeaderSize)
        {
            var length = BinaryPrimitives.ReadInt32LittleEndian(rest);
            if (length < NetlinkMessage.HeaderSize || length > rest.Length)
            {
                break;
            }

            visit(BinaryPrimitives.ReadUInt16LittleEndian(rest[4..]), rest[NetlinkMessage.HeaderSize..length]);
            rest = rest[Math.Min((length + 3) & ~3, rest.Length)..];
        }

        return NetlinkReading.Heard;
    }

    public void Dispose() => _handle.Dispose();
}
