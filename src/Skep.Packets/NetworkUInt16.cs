using System.Buffers.Binary;

namespace Skep.Packets;

/// <summary>
/// A 16-bit number in network byte order as it lies in a packet. Comparison works on the raw bytes, so a constant is
/// swapped once, when the program is compiled, and not per packet. Little-endian hosts only, as all of Skep.
/// </summary>
public readonly struct NetworkUInt16 : IEquatable<NetworkUInt16>
{
    private readonly ushort _raw;

    private NetworkUInt16(ushort raw) => _raw = raw;

    /// <summary>The two bytes as the processor loads them.</summary>
    public ushort Raw => _raw;

    /// <summary>The number.</summary>
    public ushort Value => BinaryPrimitives.ReverseEndianness(_raw);

    /// <summary>From a number.</summary>
    public static NetworkUInt16 From(ushort value) => new(BinaryPrimitives.ReverseEndianness(value));

    /// <summary>From the two bytes as the processor loads them.</summary>
    public static NetworkUInt16 FromRaw(ushort raw) => new(raw);

    /// <summary>Whether both are the same number.</summary>
    public static bool operator ==(NetworkUInt16 left, NetworkUInt16 right) => left._raw == right._raw;

    /// <summary>Whether the numbers differ.</summary>
    public static bool operator !=(NetworkUInt16 left, NetworkUInt16 right) => left._raw != right._raw;

    /// <inheritdoc/>
    public bool Equals(NetworkUInt16 other) => _raw == other._raw;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is NetworkUInt16 other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => _raw;

    /// <inheritdoc/>
    public override string ToString() => Value.ToString();
}
