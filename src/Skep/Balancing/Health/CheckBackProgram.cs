using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Packets;

namespace Skep.Balancing.Health;

/// <summary>
/// Kernel half: hands answers to checks, which come from a virtual address, to the checks' own namespace, before this host's network stack could take exception to
/// them. All other packets pay a look at their port.
/// </summary>
/// <param name="maps">The checks that are under way.</param>
/// <param name="device">This end of the cable to the namespace.</param>
/// <param name="other">Ethernet address of its other end.</param>
internal sealed unsafe class CheckBackProgram(CheckMaps maps, int device, MacAddress other) : TcProgram
{
    private const uint Headers = 14 + 40 + 8;

    private readonly HashMap<ConnectionKey, Tunnel> _checks = maps.Checks;
    private readonly uint _device = (uint)device;
    private readonly ulong _other = Raw(other);

    /// <inheritdoc/>
    public override string Name => "skep_check_back";

    /// <inheritdoc/>
    public override TcAction Run(ref TcContext context)
    {
        var length = context.Length;
        var needed = length < Headers ? length : Headers;
        if ((ulong)(context.DataEnd - context.Data) < needed && context.PullData(needed) < 0)
        {
            return TcAction.Unspec;
        }

        if (!IpPacket.TryParsePlain(context.Data, context.DataEnd, out var packet) || packet.Protocol is not (IpProtocol.Tcp or IpProtocol.Udp))
        {
            return TcAction.Unspec;
        }

        var ports = Unsafe.ReadUnaligned<uint>(packet.Transport);
        if (NetworkUInt16.FromRaw((ushort)(ports >> 16)).Value < CheckMaps.FirstPort)
        {
            return TcAction.Unspec;
        }

        ConnectionKey key;
        key.Source = packet.Destination;
        key.Destination = packet.Source;
        key.RawPorts = (ports << 16) | (ports >> 16);
        key.Protocol = (uint)packet.Protocol;
        if (Unsafe.IsNullRef(ref _checks.Find(in key)))
        {
            return TcAction.Unspec;
        }

        var address = _other;
        context.StoreBytes(0, &address, MacAddress.Size, StoreFlags.None);
        return (TcAction)TcContext.Redirect(_device, RedirectFlags.None);
    }

    private static ulong Raw(MacAddress address)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        bytes.Clear();
        System.Runtime.InteropServices.MemoryMarshal.Write(bytes, address);
        return System.Runtime.InteropServices.MemoryMarshal.Read<ulong>(bytes);
    }
}
