using System.Runtime.InteropServices;

namespace Skep.Bpf.Kernel;

/// <summary>
/// Attributes of <c>BPF_PROG_TEST_RUN</c>, 80 bytes.
/// <code>
///  0 prog_fd:4   4 retval:4   8 data_size_in:4   12 data_size_out:4   16 data_in:8   24 data_out:8
/// 32 repeat:4   36 duration:4 (ns per run)       40 ctx_size_in:4     44 ctx_size_out:4
/// 48 ctx_in:8   56 ctx_out:8  64 flags:4         68 cpu:4             72 batch_size:4   76 padding:4
/// </code>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct ProgTestRunAttributes
{
    internal int Program;
    internal uint ReturnValue;
    internal uint DataSizeIn;
    internal uint DataSizeOut;
    internal byte* DataIn;
    internal byte* DataOut;
    internal uint Repeat;
    internal uint Duration;
    internal uint ContextSizeIn;
    internal uint ContextSizeOut;
    internal void* ContextIn;
    internal void* ContextOut;
    internal uint Flags;
    internal uint Cpu;
    internal uint BatchSize;
}

internal static unsafe partial class BpfSyscall
{
    internal static int ProgTestRun(ref ProgTestRunAttributes attributes) => Call(BpfCommand.ProgTestRun, ref attributes);
}
