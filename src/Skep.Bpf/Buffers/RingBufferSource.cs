namespace Skep.Bpf.Buffers;

/// <summary>
/// Where the records of a ring buffer come from: the kernel's mapped pages, or the twin's memory. One consumer at a time;
/// records come in the order in which space for them was reserved.
/// </summary>
public abstract class RingBufferSource : IDisposable
{
    /// <summary>
    /// The oldest record not yet released, or false when there is none now. The bytes stay valid, and the record is given again,
    /// until <see cref="Release"/>.
    /// </summary>
    public abstract bool TryPeek(out ReadOnlySpan<byte> record);

    /// <summary>Gives the space of the record last peeked back to the programs.</summary>
    public abstract void Release();

    /// <summary>Completes when a record may be there (it may be a false alarm); at once when one is already.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public abstract ValueTask WaitAsync(CancellationToken cancellationToken);

    /// <inheritdoc/>
    public abstract void Dispose();
}
