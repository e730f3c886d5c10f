namespace Skep.Bpf.Buffers;

/// <summary>Where the records of a user ring buffer go: the kernel's mapped pages, or the twin's memory. One producer at a time.</summary>
public abstract unsafe class UserRingBufferTarget : IDisposable
{
    /// <summary>Whether everything written has been read.</summary>
    public abstract bool IsDrained { get; }

    /// <summary>Room for a record of <paramref name="size"/> bytes; null when there is none. Programs see it, and all that follow, once it is given.</summary>
    public abstract byte* Reserve(uint size);

    /// <summary>Gives a record that was reserved to programs, or has them pass over it.</summary>
    public abstract void Give(byte* record, bool keep);

    /// <inheritdoc/>
    public abstract void Dispose();
}
