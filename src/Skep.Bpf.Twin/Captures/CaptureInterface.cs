namespace Skep.Bpf.Twin.Captures;

/// <summary>An interface of a pcapng section: link type and how its timestamps count.</summary>
internal sealed class CaptureInterface(CaptureLinkType linkType, uint snapLength)
{
    private ulong _unitsPerSecond = 1_000_000;

    public CaptureLinkType LinkType { get; } = linkType;

    public uint SnapLength { get; } = snapLength;

    public long OffsetSeconds { get; set; }

    /// <summary>Sets the unit from option <c>if_tsresol</c>: negative power of ten, or of two when the highest bit is set.</summary>
    public void SetResolution(byte value, long at)
    {
        var power = value & 0x7F;
        if ((value & 0x80) != 0 ? power > 63 : power > 19)
        {
            throw new CaptureFormatException(at, $"A timestamp unit of {((value & 0x80) != 0 ? 2 : 10)}^-{power} s is finer than 64 bits can count");
        }

        _unitsPerSecond = (value & 0x80) != 0 ? 1ul << power : Power10(power);
    }

    /// <summary>Nanoseconds since 1970; what 64 bits cannot hold is clamped.</summary>
    public ulong Nanoseconds(ulong ticks)
    {
        var nanoseconds = ((Int128)ticks * 1_000_000_000 / _unitsPerSecond) + ((Int128)OffsetSeconds * 1_000_000_000);
        return nanoseconds < 0 ? 0 : nanoseconds > ulong.MaxValue ? ulong.MaxValue : (ulong)nanoseconds;
    }

    private static ulong Power10(int power)
    {
        var result = 1ul;
        for (; power > 0; power--)
        {
            result *= 10;
        }

        return result;
    }
}
