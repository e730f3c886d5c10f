using System.Runtime.InteropServices;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Kernel;

/// <summary>
/// Attributes of <c>BPF_MAP_CREATE</c>, 80 bytes.
/// <code>
///  0 map_type:4      4 key_size:4         8 value_size:4        12 max_entries:4
/// 16 map_flags:4    20 inner_map_fd:4    24 numa_node:4         28 map_name[16]
/// 44 map_ifindex:4  48 btf_fd:4          52 btf_key_type_id:4   56 btf_value_type_id:4
/// 60 btf_vmlinux_value_type_id:4         64 map_extra:8
/// 72 value_type_btf_obj_fd:4             76 map_token_fd:4
/// </code>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct MapCreateAttributes
{
    internal MapKind Kind;
    internal uint KeySize;
    internal uint ValueSize;
    internal uint MaxEntries;
    internal MapFlags Flags;
    internal uint InnerMapDescriptor;
    internal uint NumaNode;
    internal ObjectName Name;
    internal uint Interface;
    internal uint BtfDescriptor;
    internal uint BtfKeyType;
    internal uint BtfValueType;
    internal uint BtfVmlinuxValueType;
    internal ulong Extra;
    internal int ValueTypeModule;
    internal int Token;
}

internal static unsafe partial class BpfSyscall
{
    internal static int MapCreate(ref MapCreateAttributes attributes, out KernelHandle handle) =>
        Open(BpfCommand.MapCreate, ref attributes, out handle);
}
