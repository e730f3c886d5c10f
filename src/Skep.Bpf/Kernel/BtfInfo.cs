using System.Runtime.InteropServices;

namespace Skep.Bpf.Kernel;

/// <summary>
/// <c>struct bpf_btf_info</c>, 32 bytes.
/// <code>
/// 0 btf:8   8 btf_size:4   12 id:4   16 name:8   24 name_len:4   28 kernel_btf:4
/// </code>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct BtfInfo
{
    internal ulong Data;
    internal uint Size;
    internal uint Id;
    internal ulong Name;
    internal uint NameLength;
    internal uint OfKernel;
}
