namespace Skep.Bpf.Buffers;

/// <summary>Where the events of a perf event array come from: the rings of the kernel, or the twin's memory. One consumer at a time.</summary>
public abstract class PerfEventSource : IDisposable
{
    /// <summary>Events lost so far because a ring was full, as far as the reader has come.</summary>
    public ulong Lost { get; private protected set; }

    /// <summary>
    /// The next event, CPU after CPU; false when there is none now. The bytes stay valid, and the event is given again, until
    /// <see cref="Release"/>. They may be followed by up to seven bytes of padding.
    /// </summary>
    public abstract bool TryPeek(out ReadOnlySpan<byte> record, out int cpu);

    /// <summary>Gives the space of the event last peeked back.</summary>
    public abstract void Release();

    /// <summary>Completes when there may be an event.</summary>
    public abstract ValueTask WaitAsync(CancellationToken cancellationToken);

    /// <inheritdoc/>
    public abstract void Dispose();
}
