using Skep.Bpf.Btf;

namespace Skep.Bpf.Maps;

/// <summary>A table of functions that the kernel calls, as it lies in the kernel (<c>struct bpf_struct_ops_NAME</c>).</summary>
/// <param name="Type">The kernel's struct of functions, for example <c>tcp_congestion_ops</c>.</param>
/// <param name="ValueType">The kernel's struct around it, which is the value of the map.</param>
/// <param name="Data">The value, without the programs.</param>
/// <param name="Programs">Names of programs, and where in the value their descriptors go, in bytes.</param>
internal sealed record StructOpsLayout(KernelTypeId Type, KernelTypeId ValueType, byte[] Data, IReadOnlyList<(string Program, int Offset)> Programs);
