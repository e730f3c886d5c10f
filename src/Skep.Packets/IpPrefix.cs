using System.Globalization;

namespace Skep.Packets;

/// <summary>A block of addresses: <c>10.0.0.0/8</c>, <c>2001:db8::/32</c>. Bits beyond the length are zero.</summary>
public readonly struct IpPrefix : IEquatable<IpPrefix>
{
    /// <summary>The block of <paramref name="length"/> bits around <paramref name="address"/>.</summary>
    /// <param name="address">Any address of the block.</param>
    /// <param name="length">Bits, counted within the family: 0-32 for IPv4, 0-128 for IPv6.</param>
    /// <exception cref="ArgumentOutOfRangeException">The length exceeds the family's.</exception>
    public IpPrefix(IpAddress address, int length)
    {
        var bits = address.IsIPv4 ? 32 : 128;
        if ((uint)length > (uint)bits)
        {
            throw new ArgumentOutOfRangeException(nameof(length), length, $"A prefix of {address} has 0 to {bits} bits.");
        }

        Length = length;
        Address = Mask(address, address.IsIPv4 ? length + 96 : length);
    }

    /// <summary>First address of the block.</summary>
    public IpAddress Address { get; }

    /// <summary>Bits, counted within the family.</summary>
    public int Length { get; }

    /// <summary>Bits, counted in the 128-bit form in which IPv4 is mapped: 96 more for IPv4.</summary>
    public int MappedLength => Address.IsIPv4 ? Length + 96 : Length;

    /// <summary>Whether the block is a single address.</summary>
    public bool IsSingleAddress => MappedLength == 128;

    /// <summary>Whether this is an IPv6 block so wide that the 128-bit form of every IPv4 address lies in it, as in <c>::/0</c>.</summary>
    public bool CoversMappedIPv4 => !Address.IsIPv4 && Mask(IpAddress.FromRawIPv4(0), Length) == Address;

    /// <summary>Whether the address lies in the block; families never mix, not even in <c>::/0</c>.</summary>
    public bool Contains(IpAddress address) =>
        address.IsIPv4 == Address.IsIPv4 && Mask(address, MappedLength) == Address;

    /// <summary>Parses <c>10.0.0.0/8</c>, <c>2001:db8::/32</c> or a single address; host bits are cleared.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out IpPrefix prefix)
    {
        prefix = default;
        var slash = text.IndexOf('/');
        if (!IpAddress.TryParse(slash < 0 ? text : text[..slash], out var address))
        {
            return false;
        }

        var bits = address.IsIPv4 ? 32 : 128;
        var length = bits;
        if (slash >= 0 && (!int.TryParse(text[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out length) || length > bits))
        {
            return false;
        }

        prefix = new IpPrefix(address, length);
        return true;
    }

    /// <summary>Parses <c>10.0.0.0/8</c>, <c>2001:db8::/32</c> or a single address.</summary>
    /// <exception cref="FormatException">The text is no prefix.</exception>
    public static IpPrefix Parse(ReadOnlySpan<char> text) =>
        TryParse(text, out var prefix) ? prefix : throw new FormatException($"'{text}' is neither an address nor a prefix such as 10.0.0.0/8 or 2001:db8::/32.");

    /// <summary>Whether both are the same block.</summary>
    public static bool operator ==(IpPrefix left, IpPrefix right) => left.Address == right.Address && left.Length == right.Length;

    /// <summary>Whether the blocks differ.</summary>
    public static bool operator !=(IpPrefix left, IpPrefix right) => !(left == right);

    /// <inheritdoc/>
    public bool Equals(IpPrefix other) => this == other;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is IpPrefix other && this == other;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Address, Length);

    /// <inheritdoc/>
    public override string ToString() => $"{Address}/{Length}";

    private static IpAddress Mask(IpAddress address, int bits)
    {
        Span<byte> bytes = stackalloc byte[IpAddress.Size];
        address.WriteBytes(bytes);
        for (var i = 0; i < bytes.Length; i++)
        {
            var keep = Math.Clamp(bits - (i * 8), 0, 8);
            bytes[i] &= (byte)(0xFF00 >> keep);
        }

        return IpAddress.FromBytes(bytes);
    }
}
