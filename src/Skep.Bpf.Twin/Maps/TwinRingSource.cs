using Skep.Bpf.Buffers;

namespace Skep.Bpf.Twin.Maps;

/// <summary>Reads a ring of the twin record by record, each copied out so that the program may go on writing.</summary>
internal sealed class TwinRingSource(TwinRingStorage ring) : RingBufferSource
{
    private byte[] _record = new byte[256];

    /// <inheritdoc/>
    public override bool TryPeek(out ReadOnlySpan<byte> record)
    {
        var length = ring.CopyOldest(ref _record);
        record = _record.AsSpan(0, Math.Max(length, 0));
        return length >= 0;
    }

    /// <inheritdoc/>
    public override void Release() => ring.DropOldest();

    /// <inheritdoc/>
    public override ValueTask WaitAsync(CancellationToken cancellationToken) => new(ring.WaitAsync(cancellationToken));

    /// <inheritdoc/>
    public override void Dispose()
    {
        // The ring belongs to the map.
    }
}
