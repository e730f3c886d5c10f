namespace Skep.Bpf.Buffers;

/// <summary>Where the records of a user ring buffer go: the kernel's mapped pages, or the twin's memory. One producer at a time.</summary>
public abstract class UserRingBufferTarget : IDisposable
{
    /// <summary>Whether everything written has been read.</summary>
    public abstract bool IsDrained { get; }

    /// <summary>Appends a record; false when there is no room.</summary>
    public abstract bool TryWrite(ReadOnlySpan<byte> record);

    /// <inheritdoc/>
    public abstract void Dispose();
}
