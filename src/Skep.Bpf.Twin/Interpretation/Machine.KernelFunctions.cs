using Skep.Bpf.Asm;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Twin.Interpretation;

/// <summary>Functions of the kernel that programs call by name.</summary>
internal sealed unsafe partial class Machine
{
    private ulong CallKernelFunction(string name)
    {
        switch (name)
        {
            case "bpf_dynptr_from_xdp":
                RequireContext(1);
                return (ulong)BpfDynptr.FromXdp(ref *(XdpContext*)_view.Address, _r[Register.R2], out Pointer(3));
            case "bpf_dynptr_from_skb":
                RequireContext(1);
                return (ulong)BpfDynptr.FromSkb(ref *(TcContext*)_view.Address, _r[Register.R2], out Pointer(3));
            case "bpf_dynptr_slice":
            case "bpf_dynptr_slice_rdwr":
                var size = (uint)_r[Register.R4];
                var slice = name == "bpf_dynptr_slice"
                    ? BpfDynptr.SliceBytes(in Pointer(1), (uint)_r[Register.R2], Memory(3, size), size)
                    : BpfDynptr.WritableSliceBytes(in Pointer(1), (uint)_r[Register.R2], Memory(3, size), size);
                return Remember((byte*)slice, size, "a dynptr");
            case "bpf_dynptr_adjust":
                return (ulong)BpfDynptr.Adjust(in Pointer(1), (uint)_r[Register.R2], (uint)_r[Register.R3]);
            case "bpf_dynptr_size":
                return BpfDynptr.SizeOf(in Pointer(1));
            case "bpf_dynptr_is_null":
                return BpfDynptr.IsNullPointer(in Pointer(1)) ? 1u : 0;
            case "bpf_dynptr_is_rdonly":
                return BpfDynptr.IsReadOnlyPointer(in Pointer(1)) ? 1u : 0;
            case "bpf_dynptr_clone":
                return (ulong)BpfDynptr.Clone(in Pointer(1), out Pointer(2));
            default:
                Fault(name.Length == 0 ? "a kernel function is called whose name is not known" : $"the interpreter has no kernel function {name}");
                return 0;
        }
    }
}
