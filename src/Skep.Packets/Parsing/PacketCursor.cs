namespace Skep.Packets;

/// <summary>
/// Reads headers one after the other and never beyond the end. Usable in kernel programs: each read is the one comparison that the verifier asks for.
/// </summary>
public unsafe ref struct PacketCursor
{
    private readonly byte* _end;
    private byte* _position;

    /// <summary>A cursor at <paramref name="start"/>; the memory up to <paramref name="end"/> must outlive it.</summary>
    public PacketCursor(byte* start, byte* end)
    {
        _position = start;
        _end = end;
    }

    /// <summary>Where the next header is read.</summary>
    public readonly byte* Position => _position;

    /// <summary>One past the last readable byte.</summary>
    public readonly byte* End => _end;

    /// <summary>Gives the header at the position and moves behind it; false when the packet ends before the header does.</summary>
    public bool TryRead<T>(out T* header)
        where T : unmanaged
    {
        var start = _position;
        header = (T*)start;
        if (start + sizeof(T) > _end)
        {
            return false;
        }

        _position = start + sizeof(T);
        return true;
    }

    /// <summary>Gives the header at the position without moving; false when the packet ends before the header does.</summary>
    public readonly bool TryPeek<T>(out T* header)
        where T : unmanaged
    {
        header = (T*)_position;
        return _position + sizeof(T) <= _end;
    }

    /// <summary>Moves on without a check; the next read checks. <paramref name="bytes"/> has a small known bound.</summary>
    public void Skip(uint bytes) => _position += bytes;
}
