using System.Globalization;
using System.Runtime.InteropServices;

namespace Skep.Packets;

/// <summary>An Ethernet address. Layout: 6 bytes in wire order, no padding.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public readonly struct MacAddress : IEquatable<MacAddress>
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 6;

    private readonly uint _upper;
    private readonly ushort _lower;

    /// <summary>From six bytes in wire order.</summary>
    /// <exception cref="ArgumentException">There are not six.</exception>
    public MacAddress(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != Size)
        {
            throw new ArgumentException($"An Ethernet address has {Size} bytes, not {bytes.Length}.", nameof(bytes));
        }

        _upper = MemoryMarshal.Read<uint>(bytes);
        _lower = MemoryMarshal.Read<ushort>(bytes[4..]);
    }

    /// <summary>The broadcast address.</summary>
    public static MacAddress Broadcast => new([255, 255, 255, 255, 255, 255]);

    /// <summary>Parses <c>02:00:00:00:00:01</c>; separators may be colons or hyphens.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out MacAddress address)
    {
        address = default;
        if (text.Length != 17)
        {
            return false;
        }

        Span<byte> bytes = stackalloc byte[Size];
        for (var i = 0; i < Size; i++)
        {
            if ((i > 0 && text[(i * 3) - 1] is not (':' or '-'))
                || !byte.TryParse(text.Slice(i * 3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out bytes[i]))
            {
                return false;
            }
        }

        address = new MacAddress(bytes);
        return true;
    }

    /// <summary>Parses <c>02:00:00:00:00:01</c>.</summary>
    /// <exception cref="FormatException">The text is no Ethernet address.</exception>
    public static MacAddress Parse(ReadOnlySpan<char> text) =>
        TryParse(text, out var address) ? address : throw new FormatException($"'{text}' is no Ethernet address such as 02:00:00:00:00:01.");

    /// <summary>Whether both are the same address.</summary>
    public static bool operator ==(MacAddress left, MacAddress right) => left._upper == right._upper && left._lower == right._lower;

    /// <summary>Whether the addresses differ.</summary>
    public static bool operator !=(MacAddress left, MacAddress right) => !(left == right);

    /// <inheritdoc/>
    public bool Equals(MacAddress other) => this == other;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is MacAddress other && this == other;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(_upper, _lower);

    /// <inheritdoc/>
    public override string ToString() =>
        $"{(byte)_upper:x2}:{(byte)(_upper >> 8):x2}:{(byte)(_upper >> 16):x2}:{(byte)(_upper >> 24):x2}:{(byte)_lower:x2}:{(byte)(_lower >> 8):x2}";
}
