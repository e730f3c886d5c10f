using System.Runtime.InteropServices;

namespace Skep.Bpf.Kernel;

/// <summary>
/// Attributes of <c>BPF_BTF_LOAD</c>, 40 bytes (kernel 4.18).
/// <code>
/// 0 btf:8   8 btf_log_buf:8   16 btf_size:4   20 btf_log_size:4   24 btf_log_level:4   28 btf_log_true_size:4
/// 32 btf_flags:4   36 btf_token_fd:4
/// </code>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct BtfLoadAttributes
{
    internal byte* Btf;
    internal byte* Log;
    internal uint Size;
    internal uint LogSize;
    internal uint LogLevel;
    internal uint LogTrueSize;
    internal uint Flags;
    internal int Token;
}

internal static unsafe partial class BpfSyscall
{
    internal static int BtfLoad(ReadOnlySpan<byte> btf, Span<byte> log, out KernelHandle handle, BpfToken? token = null)
    {
        using var lease = token is null ? default : token.Handle.Borrow();
        fixed (byte* data = btf)
        fixed (byte* logBuffer = log)
        {
            var attributes = new BtfLoadAttributes
            {
                Btf = data, Size = (uint)btf.Length, Log = logBuffer, LogSize = (uint)log.Length, LogLevel = log.IsEmpty ? 0u : 1u,
                Flags = token is null ? 0 : BpfToken.Flag, Token = token is null ? 0 : lease.Descriptor,
            };
            return Open(BpfCommand.BtfLoad, ref attributes, out handle);
        }
    }
}
