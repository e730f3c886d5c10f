using System.Runtime.CompilerServices;

namespace Skep.Bpf.Programming;

/// <content>The kernel's functions, and what they do in the process (<c>kernel/bpf/helpers.c</c>).</content>
public unsafe partial struct BpfDynptr
{
    /// <summary>In the process: a pointer to plain memory.</summary>
    internal static void ToMemory(void* memory, uint size, bool isRecord, bool isLocked, out BpfDynptr pointer)
    {
        pointer._memory = memory;
        pointer._offset = 0;
        pointer._sizeAndKind = size | ((uint)(isRecord ? Target.Record : Target.Local) << 24) | (isLocked ? 1u << 31 : 0);
    }

    [KernelHelper(197, Since = "5.19")]
    internal static int FromMemory(void* memory, uint size, ulong flags, out BpfDynptr pointer)
    {
        if (flags != 0 || size > MostBytes)
        {
            pointer = default;
            return flags != 0 ? -Errno.Invalid : -Errno.TooBig;
        }

        ToMemory(memory, size, isRecord: false, isLocked: false, out pointer);
        return 0;
    }

    [KernelFunction("bpf_dynptr_from_xdp", Since = "6.4")]
    internal static int FromXdp(ref XdpContext context, ulong flags, out BpfDynptr packet) =>
        ToPacket(Unsafe.AsPointer(ref context), Target.Xdp, (uint)(context.DataEnd - context.Data), flags, out packet);

    [KernelFunction("bpf_dynptr_from_skb", Since = "6.4")]
    internal static int FromSkb(ref TcContext context, ulong flags, out BpfDynptr packet) =>
        ToPacket(Unsafe.AsPointer(ref context), Target.Tc, context.Length, flags, out packet);

    [KernelFunction("bpf_dynptr_from_skb", Since = "6.4")]
    private static int FromSkb(ref SkbContext context, ulong flags, out BpfDynptr packet) =>
        ToPacket(Unsafe.AsPointer(ref context), Target.Skb, context.Length, flags, out packet);

    private static int ToPacket(void* context, Target target, uint size, ulong flags, out BpfDynptr packet)
    {
        packet = default;
        if (flags != 0)
        {
            return -Errno.Invalid;
        }

        // SAFETY: a context outlives the run of the program, and with it every pointer on the program's stack.
        packet._memory = context;
        packet._sizeAndKind = size | ((uint)target << 24) | (target == Target.Skb ? 1u << 31 : 0);
        return 0;
    }

    [KernelHelper(201, Since = "5.19")]
    internal static int ReadBytes(void* target, uint size, in BpfDynptr source, uint offset, ulong flags)
    {
        var status = source.Check(offset, size, flags);
        var bytes = status == 0 ? source.At(offset, size) : null;
        if (bytes is null)
        {
            return status == 0 ? -Errno.Invalid : status;
        }

        Buffer.MemoryCopy(bytes, target, size, size);
        return 0;
    }

    [KernelHelper(202, Since = "5.19")]
    internal static int WriteBytes(in BpfDynptr target, uint offset, void* source, uint size, ulong flags)
    {
        var status = target.IsLocked ? -Errno.Invalid : target.Check(offset, size, flags);
        var bytes = status == 0 ? target.At(offset, size) : null;
        if (bytes is null)
        {
            return status == 0 ? -Errno.Invalid : status;
        }

        Buffer.MemoryCopy(source, bytes, size, size);
        return 0;
    }

    [KernelHelper(203, Since = "5.19")]
    internal static void* DataBytes(in BpfDynptr pointer, uint offset, uint size) =>
        pointer.IsLocked || pointer.Kind > Target.Record || pointer.Check(offset, size, 0) != 0 ? null : pointer.At(offset, size);

    [KernelFunction("bpf_dynptr_slice", Since = "6.4")]
    internal static void* SliceBytes(in BpfDynptr pointer, uint offset, void* buffer, uint size)
    {
        _ = buffer;
        return pointer.Check(offset, size, 0) != 0 ? null : pointer.At(offset, size);
    }

    [KernelFunction("bpf_dynptr_slice_rdwr", Since = "6.4")]
    internal static void* WritableSliceBytes(in BpfDynptr pointer, uint offset, void* buffer, uint size) =>
        pointer.IsLocked ? null : SliceBytes(in pointer, offset, buffer, size);

    [KernelFunction("bpf_dynptr_adjust", Since = "6.5")]
    internal static int Adjust(in BpfDynptr pointer, uint start, uint end)
    {
        if (pointer._memory is null || start > end)
        {
            return -Errno.Invalid;
        }

        if (start > pointer.Length || end > pointer.Length)
        {
            return OutOfRange;
        }

        // The kernel declares the pointer const, too, and changes it.
        ref var changed = ref Unsafe.AsRef(in pointer);
        changed._offset += start;
        changed._sizeAndKind = (changed._sizeAndKind & ~MostBytes) | (end - start);
        return 0;
    }

    [KernelFunction("bpf_dynptr_size", Since = "6.5")]
    internal static uint SizeOf(in BpfDynptr pointer) => pointer._memory is null ? unchecked((uint)-Errno.Invalid) : pointer.Length;

    [KernelFunction("bpf_dynptr_is_null", Since = "6.5")]
    internal static bool IsNullPointer(in BpfDynptr pointer) => pointer._memory is null;

    [KernelFunction("bpf_dynptr_is_rdonly", Since = "6.5")]
    internal static bool IsReadOnlyPointer(in BpfDynptr pointer) => pointer._memory is not null && pointer.IsLocked;

    [KernelFunction("bpf_dynptr_clone", Since = "6.5")]
    internal static int Clone(in BpfDynptr pointer, out BpfDynptr clone)
    {
        clone = pointer;
        return pointer._memory is null ? -Errno.Invalid : 0;
    }

    [KernelHelper(199, Since = "5.19", Releases = true)]
    internal void Submit(ulong flags) => GiveBack(keep: true, flags);

    [KernelHelper(200, Since = "5.19", Releases = true)]
    internal void Discard(ulong flags) => GiveBack(keep: false, flags);

    private void GiveBack(bool keep, ulong flags)
    {
        _ = flags;
        if (_memory is not null && Kind == Target.Record)
        {
            KernelEnvironment.Current.GiveRecord(_memory, keep);
        }

        this = default;
    }

    private readonly int Check(uint offset, uint size, ulong flags) =>
        _memory is null || flags != 0 ? -Errno.Invalid
        : size > Length || offset > Length - size ? -Errno.TooBig : 0;

    /// <summary>The bytes, which <see cref="Check"/> has found to lie inside; null when the packet has become shorter meanwhile.</summary>
    private readonly byte* At(uint offset, uint size)
    {
        if (Kind is Target.Local or Target.Record)
        {
            return (byte*)_memory + _offset + offset;
        }

        var (data, end) = Kind switch
        {
            Target.Xdp => ((nint)((XdpContext*)_memory)->Data, (nint)((XdpContext*)_memory)->DataEnd),
            Target.Tc => ((nint)((TcContext*)_memory)->Data, (nint)((TcContext*)_memory)->DataEnd),
            _ => ((nint)((SkbContext*)_memory)->Data, (nint)((SkbContext*)_memory)->DataEnd),
        };
        return data + _offset + offset + size <= end ? (byte*)data + _offset + offset : null;
    }
}
