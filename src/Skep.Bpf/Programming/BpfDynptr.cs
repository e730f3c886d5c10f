using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Programming;

/// <summary>
/// A pointer that knows its bounds (<c>struct bpf_dynptr</c>, kernel 5.19): to bytes of a map's value, to a record of a ring buffer whose size is known at run
/// time only, or to a packet, its fragments included. Offsets are checked when it is used, not by the verifier. It is a variable on the stack and never copied: pass it by
/// <c>ref</c> or <c>in</c>.
/// </summary>
[KernelStruct("bpf_dynptr", IsValue = true, OnStack = true)]
[StructLayout(LayoutKind.Sequential)]
public unsafe partial struct BpfDynptr
{
    /// <summary>Most bytes it can lead to (<c>DYNPTR_MAX_SIZE</c>).</summary>
    public const uint MostBytes = (1 << 24) - 1;

    private const int OutOfRange = -34;

    // In the process: the first byte, or, for packets, the context; then where the part begins and how long it is; 16 bytes in all as in the kernel.
    private void* _memory;
    private uint _offset;
    private uint _sizeAndKind;

    private enum Target : uint
    {
        Local = 1,
        Record = 2,
        Xdp = 3,
        Tc = 4,
        Skb = 5,
    }

    private readonly uint Length => _sizeAndKind & MostBytes;

    private readonly Target Kind => (Target)(_sizeAndKind >> 24 & 0xf);

    private readonly bool IsLocked => (_sizeAndKind & (1u << 31)) != 0;

    /// <summary>Leads to bytes of a map's value (<c>bpf_dynptr_from_mem</c>).</summary>
    /// <param name="memory">Where they are; in the value of a map.</param>
    /// <param name="size">How many.</param>
    /// <param name="pointer">The pointer; it leads nowhere after an error.</param>
    /// <returns>0, or a negative errno: E2BIG for more than <see cref="MostBytes"/>.</returns>
    public static int FromMemory(void* memory, uint size, out BpfDynptr pointer) => FromMemory(memory, size, 0, out pointer);

    /// <summary>Leads to a packet, from its first byte to its last, fragments included (<c>bpf_dynptr_from_xdp</c>, kernel 6.4).</summary>
    /// <returns>0, or a negative errno.</returns>
    public static int FromPacket(ref XdpContext context, out BpfDynptr packet) => FromXdp(ref context, 0, out packet);

    /// <summary>Leads to a packet, from its first byte to its last, fragments included (<c>bpf_dynptr_from_skb</c>, kernel 6.4).</summary>
    /// <returns>0, or a negative errno.</returns>
    public static int FromPacket(ref TcContext context, out BpfDynptr packet) => FromSkb(ref context, 0, out packet);

    /// <summary>As the other, in programs that may look at packets but not change them: there <see cref="Write"/> fails with EINVAL.</summary>
    /// <returns>0, or a negative errno.</returns>
    public static int FromPacket(ref SkbContext context, out BpfDynptr packet) => FromSkb(ref context, 0, out packet);

    /// <summary>Reads a value (<c>bpf_dynptr_read</c>).</summary>
    /// <param name="offset">Offset of its first byte.</param>
    /// <param name="value">The value; the bytes are as in memory, whatever their order.</param>
    /// <returns>0, or a negative errno: E2BIG when it does not lie inside.</returns>
    public readonly int Read<T>(uint offset, out T value)
        where T : unmanaged
    {
        Unsafe.SkipInit(out value);
        fixed (T* target = &value)
        {
            return ReadBytes(target, (uint)sizeof(T), in this, offset, 0);
        }
    }

    /// <summary>Writes a value (<c>bpf_dynptr_write</c>). In TC programs pointers into the packet that were read before are dead afterwards.</summary>
    /// <returns>0, or a negative errno: E2BIG when it does not lie inside, EINVAL when nothing may be written.</returns>
    public readonly int Write<T>(uint offset, in T value)
        where T : unmanaged
    {
        fixed (T* source = &value)
        {
            return WriteBytes(in this, offset, source, (uint)sizeof(T), 0);
        }
    }

    /// <summary>
    /// Direct access to a value in a ring buffer's record or in memory, not in packets (<c>bpf_dynptr_data</c>). A null reference when it does not lie
    /// inside: test it with <see cref="Unsafe.IsNullRef{T}"/>. Dead once the record is given away.
    /// </summary>
    public readonly ref T Data<T>(uint offset)
        where T : unmanaged => ref *(T*)DataBytes(in this, offset, (uint)sizeof(T));

    /// <summary>
    /// A value to look at, in the packet or, when it lies scattered, copied to <paramref name="buffer"/> (<c>bpf_dynptr_slice</c>, kernel 6.4). A null reference when it does
    /// not lie inside.
    /// </summary>
    public readonly ref readonly T Slice<T>(uint offset, ref T buffer)
        where T : unmanaged
    {
        fixed (T* room = &buffer)
        {
            return ref *(T*)SliceBytes(in this, offset, room, (uint)sizeof(T));
        }
    }

    /// <summary>
    /// As <see cref="Slice"/>, to be changed (<c>bpf_dynptr_slice_rdwr</c>, kernel 6.4). When the reference is to <paramref name="buffer"/>, the packet has the change only after
    /// <see cref="Write"/>.
    /// </summary>
    public readonly ref T WritableSlice<T>(uint offset, ref T buffer)
        where T : unmanaged
    {
        fixed (T* room = &buffer)
        {
            return ref *(T*)WritableSliceBytes(in this, offset, room, (uint)sizeof(T));
        }
    }

    /// <summary>Keeps the part from <paramref name="start"/> up to <paramref name="end"/>, offsets that count from the present start (<c>bpf_dynptr_adjust</c>, kernel 6.5).</summary>
    /// <returns>0, or a negative errno: ERANGE (-34) when it does not lie inside.</returns>
    public readonly int Adjust(uint start, uint end) => Adjust(in this, start, end);

    /// <summary>Bytes (<c>bpf_dynptr_size</c>, kernel 6.5).</summary>
    public readonly uint Size => SizeOf(in this);

    /// <summary>Whether it leads nowhere (<c>bpf_dynptr_is_null</c>, kernel 6.5).</summary>
    public readonly bool IsNull => IsNullPointer(in this);

    /// <summary>Whether nothing may be written through it (<c>bpf_dynptr_is_rdonly</c>, kernel 6.5).</summary>
    public readonly bool IsReadOnly => IsReadOnlyPointer(in this);

    /// <summary>A second pointer to the same bytes, adjusted on its own (<c>bpf_dynptr_clone</c>, kernel 6.5).</summary>
    /// <returns>0, or a negative errno.</returns>
    public readonly int Clone(out BpfDynptr clone) => Clone(in this, out clone);

    /// <summary>Gives the record to the reader of the ring buffer (<c>bpf_ringbuf_submit_dynptr</c>).</summary>
    public void Submit() => Submit(0);

    /// <summary>Throws the record away (<c>bpf_ringbuf_discard_dynptr</c>); also after a reservation that failed.</summary>
    public void Discard() => Discard(0);
}
