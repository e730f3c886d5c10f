using Skep.Bpf.Asm;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Twin.Interpretation;

/// <summary>Functions of the kernel that programs call by name.</summary>
internal sealed unsafe partial class Machine
{
    // As in kernel/bpf/bpf_iter.c the iterator's own memory holds the number that the program is shown, and the end.
    private static ulong BeginNumbers(ulong* iterator, int start, int end)
    {
        *iterator = 0;
        if (start > end || (long)end - start > MostRounds)
        {
            return (ulong)(start > end ? -Errno.Invalid : -Errno.TooBig);
        }

        ((int*)iterator)[0] = start - 1;
        ((int*)iterator)[1] = end;
        return 0;
    }

    private ulong NextNumber(int* iterator)
    {
        if (iterator[0] + 1 >= iterator[1])
        {
            iterator[0] = iterator[1] = 0;
            return 0;
        }

        iterator[0]++;
        return Remember((byte*)iterator, sizeof(int), "a number");
    }

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
            case "bpf_arena_alloc_pages":
                return (ulong)MapIn(1).Storage.AllocatePages((uint)_r[Register.R3]);
            case "bpf_arena_free_pages":
                MapIn(1).Storage.FreePages((byte*)_r[Register.R2], (uint)_r[Register.R3]);
                return 0;
            case "bpf_wq_init":
                return CallTimer(169);
            case "bpf_wq_set_callback_impl":
                return CallTimer(170);
            case "bpf_wq_start":
                return (ulong)_environment.Timers.Start((ulong*)Memory(1, TimerSize), 0, _r[Register.R2]);
            case "bpf_iter_num_new":
                return BeginNumbers((ulong*)Memory(1, sizeof(ulong)), (int)_r[Register.R2], (int)_r[Register.R3]);
            case "bpf_iter_num_next":
                return NextNumber((int*)Memory(1, sizeof(ulong)));
            case "bpf_iter_num_destroy":
                *(ulong*)Memory(1, sizeof(ulong)) = 0;
                return 0;
            default:
                Fault(name.Length == 0 ? "a kernel function is called whose name is not known" : $"the interpreter has no kernel function {name}");
                return 0;
        }
    }
}
