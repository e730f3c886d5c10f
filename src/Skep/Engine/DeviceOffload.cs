using System.Runtime.InteropServices;
using System.Text;
using Skep.Bpf;
using Skep.Bpf.Kernel;

namespace Skep.Engine;

/// <summary>What a device does in the place of the network stack, switched by SIOCETHTOOL (linux/ethtool.h).</summary>
internal static unsafe class DeviceOffload
{
    internal const uint TransmitChecksum = 0x17, TransmitSegmentation = 0x1f, GenericSegmentation = 0x24, ReceiveCoalescing = 0x2c;

    private const nuint SIOCETHTOOL = 0x8946;
    private const int AF_INET = 2, SOCK_DGRAM = 2;

    /// <summary>Switches an offload of a device in the network namespace of the calling thread.</summary>
    /// <exception cref="BpfException">There is no such device, or it does not let itself be switched.</exception>
    internal static void Set(string device, uint command, bool on)
    {
        var descriptor = LibC.socket(AF_INET, SOCK_DGRAM | LibC.SOCK_CLOEXEC, 0);
        if (descriptor < 0)
        {
            throw new BpfException("Opening a socket for ethtool failed", Marshal.GetLastPInvokeError());
        }

        using var handle = new KernelHandle(descriptor);
        var setting = new EthtoolValue { Command = command, Data = on ? 1u : 0 };
        var request = new InterfaceRequest { Data = &setting };
        Encoding.ASCII.GetBytes(device, new Span<byte>(request.Name, InterfaceRequest.NameSize - 1));
        if (LibC.ioctl(descriptor, SIOCETHTOOL, (nuint)(&request)) < 0)
        {
            throw new BpfException($"Switching offload 0x{command:x} of '{device}' failed", Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>struct ethtool_value: u32 cmd; u32 data.</summary>
    private struct EthtoolValue
    {
        internal uint Command;
        internal uint Data;
    }

    /// <summary>struct ifreq: char ifr_name[16]; then a union of 24 bytes of which SIOCETHTOOL uses the pointer.</summary>
    private struct InterfaceRequest
    {
        internal const int NameSize = 16;
        internal fixed byte Name[NameSize];
        internal void* Data;
        private fixed byte _rest[16];
    }
}
