using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Skep.Packets;

/// <summary>
/// An IPv4 or IPv6 address in one type. Layout: 16 bytes in wire order, held as two 64-bit words as the processor loads them;
/// IPv4 is mapped to <c>::ffff:a.b.c.d</c> (RFC 4291 section 2.5.5.2).
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public readonly struct IpAddress : IEquatable<IpAddress>, IComparable<IpAddress>, ISpanParsable<IpAddress>
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 16;

    // Bytes 8..11 of a mapped address are 00 00 ff ff.
    private const uint MappedMarker = 0xFFFF0000;

    private readonly ulong _upper;
    private readonly ulong _lower;

    /// <summary>From the two halves as the processor loads them from a packet.</summary>
    public IpAddress(ulong rawUpper, ulong rawLower)
    {
        _upper = rawUpper;
        _lower = rawLower;
    }

    /// <summary>The first eight bytes as the processor loads them.</summary>
    public ulong RawUpper => _upper;

    /// <summary>The last eight bytes as the processor loads them.</summary>
    public ulong RawLower => _lower;

    /// <summary>The four bytes of a mapped IPv4 address as the processor loads them; of an IPv6 address, its last four bytes.</summary>
    public uint RawIPv4 => (uint)(_lower >> 32);

    /// <summary>Whether this is a mapped IPv4 address.</summary>
    public bool IsIPv4 => (_upper | ((uint)_lower ^ MappedMarker)) == 0;

    /// <summary>From the four bytes of an IPv4 address as the processor loads them.</summary>
    public static IpAddress FromRawIPv4(uint raw) => new(0, MappedMarker | ((ulong)raw << 32));

    /// <summary>From 4 or 16 bytes in wire order.</summary>
    /// <exception cref="ArgumentException">There is another number of bytes.</exception>
    public static IpAddress FromBytes(ReadOnlySpan<byte> bytes) => bytes.Length switch
    {
        4 => FromRawIPv4(MemoryMarshal.Read<uint>(bytes)),
        Size => new IpAddress(MemoryMarshal.Read<ulong>(bytes), MemoryMarshal.Read<ulong>(bytes[8..])),
        _ => throw new ArgumentException($"An IP address has 4 or {Size} bytes, not {bytes.Length}.", nameof(bytes)),
    };

    /// <summary>From the framework's type; scope ids are dropped.</summary>
    public static IpAddress From(IPAddress address)
    {
        ArgumentNullException.ThrowIfNull(address);
        Span<byte> bytes = stackalloc byte[Size];
        return address.TryWriteBytes(bytes, out var written) ? FromBytes(bytes[..written]) : throw new ArgumentException("No address.", nameof(address));
    }

    /// <summary>Writes the 16 bytes in wire order.</summary>
    public void WriteBytes(Span<byte> target)
    {
        MemoryMarshal.Write(target, in _upper);
        MemoryMarshal.Write(target[8..], in _lower);
    }

    /// <summary>To the framework's type, IPv4 unmapped.</summary>
    public IPAddress ToIPAddress()
    {
        Span<byte> bytes = stackalloc byte[Size];
        WriteBytes(bytes);
        return new IPAddress(IsIPv4 ? bytes[12..] : bytes);
    }

    /// <summary>Parses an IPv4 address in dotted form or an IPv6 address (RFC 4291) without scope.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out IpAddress address)
    {
        address = default;
        // The framework also takes "1", "0x7f.1" and scopes, which nobody means in a configuration.
        if (text.Contains('%') || !IPAddress.TryParse(text, out var parsed)
            || (parsed.AddressFamily == AddressFamily.InterNetwork && (text.Count('.') != 3 || text.ContainsAnyExcept("0123456789."))))
        {
            return false;
        }

        address = From(parsed);
        return true;
    }

    /// <summary>Parses an IPv4 or IPv6 address.</summary>
    /// <exception cref="FormatException">The text is no address.</exception>
    public static IpAddress Parse(ReadOnlySpan<char> text) =>
        TryParse(text, out var address) ? address : throw new FormatException($"'{text}' is neither an IPv4 nor an IPv6 address.");

    /// <inheritdoc cref="Parse(ReadOnlySpan{char})"/>
    public static IpAddress Parse(string s) => Parse(s.AsSpan());

    /// <inheritdoc/>
    public static IpAddress Parse(string s, IFormatProvider? provider) => Parse(s.AsSpan());

    /// <inheritdoc/>
    public static IpAddress Parse(ReadOnlySpan<char> s, IFormatProvider? provider) => Parse(s);

    /// <inheritdoc/>
    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out IpAddress result) => TryParse(s.AsSpan(), out result);

    /// <inheritdoc/>
    public static bool TryParse(ReadOnlySpan<char> s, IFormatProvider? provider, out IpAddress result) => TryParse(s, out result);

    /// <summary>Whether both are the same address.</summary>
    public static bool operator ==(IpAddress left, IpAddress right) => left._upper == right._upper && left._lower == right._lower;

    /// <summary>Whether the addresses differ.</summary>
    public static bool operator !=(IpAddress left, IpAddress right) => left._upper != right._upper || left._lower != right._lower;

    /// <summary>Order of the bytes on the wire: IPv4 before most of IPv6, each family in numeric order.</summary>
    public int CompareTo(IpAddress other)
    {
        Span<byte> mine = stackalloc byte[Size];
        Span<byte> theirs = stackalloc byte[Size];
        WriteBytes(mine);
        other.WriteBytes(theirs);
        return mine.SequenceCompareTo(theirs);
    }

    /// <inheritdoc/>
    public bool Equals(IpAddress other) => this == other;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is IpAddress other && this == other;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(_upper, _lower);

    /// <inheritdoc/>
    public override string ToString() => ToIPAddress().ToString();
}
