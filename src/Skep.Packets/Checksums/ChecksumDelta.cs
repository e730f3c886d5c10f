namespace Skep.Packets;

/// <summary>
/// The difference that changed fields make to an Internet checksum, in one's complement arithmetic (RFC 1624, equation 3).
/// Computed once per connection, applied to each packet in a handful of instructions. Byte order does not matter (RFC 1071 section 2).
/// </summary>
public readonly struct ChecksumDelta
{
    private readonly ushort _raw;

    private ChecksumDelta(ushort raw) => _raw = raw;

    /// <summary>The folded difference; what is stored in maps.</summary>
    public ushort Raw => _raw;

    /// <summary>From a stored value.</summary>
    public static ChecksumDelta FromRaw(ushort raw) => new(raw);

    /// <summary>The difference of replacing a 16-bit field.</summary>
    public static ChecksumDelta Of(NetworkUInt16 before, NetworkUInt16 after) =>
        new(InternetChecksum.Fold(((ulong)before.Raw ^ 0xFFFF) + after.Raw));

    /// <summary>The difference of replacing a 32-bit field; both as loaded from the packet.</summary>
    public static ChecksumDelta Of(uint rawBefore, uint rawAfter) =>
        new(InternetChecksum.Fold((ulong)~rawBefore + rawAfter));

    /// <summary>The difference of replacing an address by one of the same family. For IPv4 the constant part of the mapped form cancels out.</summary>
    public static ChecksumDelta Of(in IpAddress before, in IpAddress after) =>
        new(InternetChecksum.Fold(InternetChecksum.Words(~before.RawUpper) + InternetChecksum.Words(~before.RawLower)
            + InternetChecksum.Words(after.RawUpper) + InternetChecksum.Words(after.RawLower)));

    /// <summary>Both changes together.</summary>
    public static ChecksumDelta operator +(ChecksumDelta left, ChecksumDelta right) => new(InternetChecksum.Fold((ulong)left._raw + right._raw));

    /// <summary>The difference of the opposite change.</summary>
    public static ChecksumDelta operator -(ChecksumDelta delta) => new((ushort)~delta._raw);

    /// <summary>The checksum after the change.</summary>
    public NetworkUInt16 Apply(NetworkUInt16 checksum)
    {
        // Both terms have 16 bits: one fold leaves no carry.
        var sum = (checksum.Raw ^ 0xFFFFu) + _raw;
        sum = (sum & 0xFFFF) + (sum >> 16);
        return NetworkUInt16.FromRaw((ushort)~sum);
    }

    /// <summary>The UDP checksum after the change: none stays none, and a result of zero is sent as all ones (RFC 768).</summary>
    public NetworkUInt16 ApplyToUdp(NetworkUInt16 checksum)
    {
        if (checksum.Raw == 0)
        {
            return checksum;
        }

        var result = Apply(checksum);
        return result.Raw == 0 ? NetworkUInt16.FromRaw(0xFFFF) : result;
    }
}
