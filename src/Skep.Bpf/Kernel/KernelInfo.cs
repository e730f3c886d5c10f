using System.Runtime.InteropServices;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Kernel;

/// <summary>
/// Beginning of <c>struct bpf_map_info</c>, 88 bytes.
/// <code>
///  0 type:4        4 id:4         8 key_size:4     12 value_size:4   16 max_entries:4   20 map_flags:4
/// 24 name[16]     40 ifindex:4   44 btf_vmlinux_value_type_id:4      48 netns_dev:8     56 netns_ino:8
/// 64 btf_id:4     68 btf_key_type_id:4            72 btf_value_type_id:4   76 btf_vmlinux_id:4   80 map_extra:8
/// </code>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct MapInfo
{
    internal MapKind Kind;
    internal uint Id;
    internal uint KeySize;
    internal uint ValueSize;
    internal uint MaxEntries;
    internal MapFlags Flags;
    internal ObjectName Name;
    internal uint Interface;
    internal uint BtfVmlinuxValueType;
    internal ulong NamespaceDevice;
    internal ulong NamespaceInode;
    internal uint BtfId;
    internal uint BtfKeyType;
    internal uint BtfValueType;
    internal uint BtfVmlinuxId;
    internal ulong Extra;
}

/// <summary>
/// Beginning of <c>struct bpf_prog_info</c>, 232 bytes; pointers are given as 64-bit numbers, null here.
/// <code>
///   0 type:4         4 id:4           8 tag[8]               16 jited_prog_len:4   20 xlated_prog_len:4
///  24 jited_insns:8 32 xlated_insns:8 40 load_time:8         48 created_by_uid:4   52 nr_map_ids:4    56 map_ids:8
///  64 name[16]      80 ifindex:4      84 gpl_compatible:1bit 88 netns_dev:8        96 netns_ino:8
/// 104 nr_jited_ksyms:4   108 nr_jited_func_lens:4   112 jited_ksyms:8   120 jited_func_lens:8   128 btf_id:4
/// 132 func_info_rec_size:4   136 func_info:8   144 nr_func_info:4   148 nr_line_info:4   152 line_info:8
/// 160 jited_line_info:8   168 nr_jited_line_info:4   172 line_info_rec_size:4   176 jited_line_info_rec_size:4
/// 180 nr_prog_tags:4   184 prog_tags:8   192 run_time_ns:8   200 run_cnt:8   208 recursion_misses:8
/// 216 verified_insns:4   220 attach_btf_obj_id:4   224 attach_btf_id:4   228 padding:4
/// </code>
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 232)]
internal struct ProgramInfo
{
    [FieldOffset(0)] internal Programs.ProgramType Type;
    [FieldOffset(4)] internal uint Id;
    [FieldOffset(8)] internal ulong Tag;
    [FieldOffset(16)] internal uint JitedLength;
    [FieldOffset(20)] internal uint TranslatedLength;
    [FieldOffset(32)] internal ulong TranslatedInstructions;
    [FieldOffset(40)] internal ulong LoadTime;
    [FieldOffset(52)] internal uint MapCount;
    [FieldOffset(56)] internal ulong MapIds;
    [FieldOffset(64)] internal ObjectName Name;
    [FieldOffset(128)] internal uint BtfId;
    [FieldOffset(192)] internal ulong RunTimeNanoseconds;
    [FieldOffset(200)] internal ulong RunCount;
    [FieldOffset(216)] internal uint VerifiedInstructions;
    [FieldOffset(224)] internal uint AttachBtfId;
}

/// <summary>
/// Beginning of <c>struct bpf_link_info</c>, 48 bytes here.
/// <code>
///  0 type:4   4 id:4   8 prog_id:4   12 padding:4
/// 16 by type: raw tracepoint  tp_name:8, tp_name_len:4
///             tracing         attach_type:4, target_obj_id:4, target_btf_id:4
///             cgroup          cgroup_id:8, attach_type:4
///             xdp             ifindex:4
///             tcx             ifindex:4, attach_type:4
/// </code>
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 48)]
internal struct LinkInfoData
{
    [FieldOffset(0)] internal Links.LinkType Type;
    [FieldOffset(4)] internal uint Id;
    [FieldOffset(8)] internal uint ProgramId;
    [FieldOffset(16)] internal uint Interface;
    [FieldOffset(20)] internal Programs.AttachType TcxAttachType;
    [FieldOffset(16)] internal ulong CgroupId;
    [FieldOffset(24)] internal Programs.AttachType CgroupAttachType;
}
