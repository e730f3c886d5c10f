using System.Runtime.InteropServices;

namespace Skep.Bpf.Programming;

/// <summary>
/// The fields that a flow dissector found, 56 bytes (<c>struct bpf_flow_keys</c>).
/// <code>
///  0 network offset:2   2 transport offset:2   4 address protocol:2   6 is fragment:1   7 is first fragment:1   8 is encapsulated:1
///  9 protocol:1        10 EtherType:2         12 source port:2       14 destination port:2
/// 16 source address:16 (IPv4: 4)              32 destination address:16 (IPv4: at 20)   48 flags:4   52 flow label:4
/// </code>
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 56)]
public struct FlowKeys
{
    /// <summary>Offset of the network header.</summary>
    [FieldOffset(0)] public ushort NetworkOffset;
    /// <summary>Offset of the transport header.</summary>
    [FieldOffset(2)] public ushort TransportOffset;
    /// <summary>EtherType of the addresses, host byte order: 0x0800 or 0x86dd; 0 for none.</summary>
    [FieldOffset(4)] public ushort AddressProtocol;
    /// <summary>1 for a fragment.</summary>
    [FieldOffset(6)] public byte IsFragment;
    /// <summary>1 for the first fragment.</summary>
    [FieldOffset(7)] public byte IsFirstFragment;
    /// <summary>1 when the packet is in another one.</summary>
    [FieldOffset(8)] public byte IsEncapsulated;
    /// <summary>Protocol: 6 TCP, 17 UDP.</summary>
    [FieldOffset(9)] public byte Protocol;
    /// <summary>EtherType, network byte order.</summary>
    [FieldOffset(10)] public ushort EtherType;
    /// <summary>Source port, network byte order.</summary>
    [FieldOffset(12)] public ushort SourcePort;
    /// <summary>Destination port, network byte order.</summary>
    [FieldOffset(14)] public ushort DestinationPort;
    /// <summary>Source IPv4 address, network byte order.</summary>
    [FieldOffset(16)] public uint SourceIp4;
    /// <summary>Destination IPv4 address, network byte order.</summary>
    [FieldOffset(20)] public uint DestinationIp4;
    /// <summary>What the caller asks for (<c>BPF_FLOW_DISSECTOR_F_*</c>).</summary>
    [FieldOffset(48)] public uint Flags;
    /// <summary>Flow label of IPv6, network byte order.</summary>
    [FieldOffset(52)] public uint FlowLabel;
}
