namespace Skep.Bpf.Maps;

/// <summary>
/// Ring buffer of records from the process to programs (<c>BPF_MAP_TYPE_USER_RINGBUF</c>, kernel 6.1). Written by
/// <see cref="Buffers.UserRingBufferWriter{T}"/>; programs drain it when they run.
/// </summary>
/// <typeparam name="T">Record struct.</typeparam>
public sealed class UserRingBuffer<T> : BpfMap
    where T : unmanaged
{
    /// <summary>Describes a ring of <paramref name="bytes"/> bytes: a power of two and a multiple of the page size.</summary>
    public UserRingBuffer(uint bytes, string? name = null)
        : base(MapKind.UserRingBuffer, 0, 0, bytes, MapFlags.None, name)
    {
        if (bytes < 4096 || (bytes & (bytes - 1)) != 0)
        {
            throw new ArgumentOutOfRangeException(nameof(bytes), bytes, "The size of a ring buffer is a power of two, at least 4096 bytes.");
        }
    }

    /// <inheritdoc/>
    public override Type? KeyType => null;

    /// <inheritdoc/>
    public override Type ValueType => typeof(T);
}
