using System.Runtime.InteropServices;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Kernel;

/// <summary>
/// Attributes of <c>BPF_PROG_LOAD</c>, 152 bytes.
/// <code>
///   0 prog_type:4        4 insn_cnt:4               8 insns:8              16 license:8
///  24 log_level:4       28 log_size:4              32 log_buf:8            40 kern_version:4     44 prog_flags:4
///  48 prog_name[16]     64 prog_ifindex:4          68 expected_attach_type:4
///  72 prog_btf_fd:4     76 func_info_rec_size:4    80 func_info:8          88 func_info_cnt:4
///  92 line_info_rec_size:4   96 line_info:8       104 line_info_cnt:4     108 attach_btf_id:4
/// 112 attach_prog_fd or attach_btf_obj_fd:4       116 core_relo_cnt:4     120 fd_array:8        128 core_relos:8
/// 136 core_relo_rec_size:4  140 log_true_size:4   144 prog_token_fd:4     148 fd_array_cnt:4
/// </code>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct ProgLoadAttributes
{
    internal ProgramType Type;
    internal uint InstructionCount;
    internal void* Instructions;
    internal byte* License;
    internal uint LogLevel;
    internal uint LogSize;
    internal byte* Log;
    internal uint KernelVersion;
    internal uint Flags;
    internal ObjectName Name;
    internal uint Interface;
    internal AttachType ExpectedAttachType;
    internal int Btf;
    internal uint FunctionRecordSize;
    internal void* Functions;
    internal uint FunctionCount;
    internal uint LineRecordSize;
    internal void* Lines;
    internal uint LineCount;
    internal uint AttachBtfId;
    internal int AttachProgram;
    internal uint CoreRelocationCount;
    internal void* DescriptorArray;
    internal void* CoreRelocations;
    internal uint CoreRelocationRecordSize;
    internal uint LogTrueSize;
    internal int Token;
    internal uint DescriptorCount;
}

internal static unsafe partial class BpfSyscall
{
    internal static int ProgLoad(ref ProgLoadAttributes attributes, out KernelHandle handle) =>
        Open(BpfCommand.ProgLoad, ref attributes, out handle);
}
