using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace Skep.Cli.Lab.Kernel;

/// <summary>
/// Switches device offloads by SIOCETHTOOL (linux/ethtool.h).
/// </summary>
internal static class Offload
{
    private const nuint SIOCETHTOOL = 0x8946;
    private const uint ETHTOOL_STXCSUM = 0x17;
    private const uint ETHTOOL_STSO = 0x1f;
    private const uint ETHTOOL_SGSO = 0x24;
    private const uint ETHTOOL_SGRO = 0x2c;

    /// <summary>Whether TCP hands super-packets to the device, which are cut, queued and lost as one where no card cuts them.</summary>
    internal static void SetSegmentation(string device, bool on)
    {
        Set(device, ETHTOOL_STSO, on ? 1u : 0);
        Set(device, ETHTOOL_SGSO, on ? 1u : 0);
    }

    /// <summary>
    /// Without it received packets stay as they were on the wire, so that packets and bytes can be compared exactly. With it a veth takes frames that are redirected to
    /// its other end.
    /// </summary>
    internal static void SetReceiveCoalescing(string device, bool on) => Set(device, ETHTOOL_SGRO, on ? 1u : 0);

    /// <summary>The sender computes checksums. A veth hands packets over with partial ones, which outer headers would cover at XDP.</summary>
    internal static void DisableTransmitChecksum(string device) => Set(device, ETHTOOL_STXCSUM, 0);

    private static unsafe void Set(string device, uint command, uint value)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        var setting = new EthtoolValue { Command = command, Data = value };
        var request = new InterfaceRequest { Data = &setting };
        Encoding.ASCII.GetBytes(device, new Span<byte>(request.Name, InterfaceRequest.NameSize - 1));
        if (Libc.ioctl(socket.SafeHandle, SIOCETHTOOL, &request) < 0)
        {
            throw new LabException($"SIOCETHTOOL 0x{command:x} on {device}: errno {Marshal.GetLastPInvokeError()}");
        }
    }

    /// <summary>struct ethtool_value: u32 cmd; u32 data.</summary>
    private struct EthtoolValue
    {
        internal uint Command;
        internal uint Data;
    }

    /// <summary>struct ifreq: char ifr_name[16]; then a union of 24 bytes of which SIOCETHTOOL uses the pointer.</summary>
    private unsafe struct InterfaceRequest
    {
        internal const int NameSize = 16;
        internal fixed byte Name[NameSize];
        internal void* Data;
        private fixed byte _rest[16];
    }
}
