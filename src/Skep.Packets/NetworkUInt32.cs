using System.Buffers.Binary;

namespace Skep.Packets;

/// <summary>
/// A 32-bit number in network byte order as it lies in a packet. Comparison works on the raw bytes, so a constant is
/// swapped once, when the program is compiled, and not per packet. Little-endian hosts only, as all of Skep.
/// </summary>
public readonly struct NetworkUInt32 : IEquatable<NetworkUInt32>
{
    private readonly uint _raw;

    private NetworkUInt32(uint raw) => _raw = raw;

    /// <summary>The four bytes as the processor loads them.</summary>
    public uint Raw => _raw;

    /// <summary>The number.</summary>
    public uint Value => BinaryPrimitives.ReverseEndianness(_raw);

    /// <summary>From a number.</summary>
    public static NetworkUInt32 From(uint value) => new(BinaryPrimitives.ReverseEndianness(value));

    /// <summary>From the four bytes as the processor loads them.</summary>
    public static NetworkUInt32 FromRaw(uint raw) => new(raw);

    /// <summary>Whether both are the same number.</summary>
    public static bool operator ==(NetworkUInt32 left, NetworkUInt32 right) => left._raw == right._raw;

    /// <summary>Whether the numbers differ.</summary>
    public static bool operator !=(NetworkUInt32 left, NetworkUInt32 right) => left._raw != right._raw;

    /// <inheritdoc/>
    public bool Equals(NetworkUInt32 other) => _raw == other._raw;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is NetworkUInt32 other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => (int)_raw;

    /// <inheritdoc/>
    public override string ToString() => Value.ToString();
}
