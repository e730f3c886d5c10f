using Skep.Packets;

namespace Skep.Filtering;

/// <summary>A blocked address or prefix. Layout: expiry 8, packets 8, bytes 8, expiry of its own 8.</summary>
public struct BlockRule
{
    /// <summary>
    /// Monotonic time in nanoseconds until which the program drops by this rule; 0 for ever. That of a prefix is the latest of its own and those of the
    /// wider prefixes around it, because a lookup in the trie finds the narrowest only: so none hides a wider one that is still in force.
    /// </summary>
    public ulong ExpiresAt;

    /// <summary>Packets dropped.</summary>
    public ulong Packets;

    /// <summary>Bytes dropped.</summary>
    public ulong Bytes;

    /// <summary>Monotonic time in nanoseconds at which what was asked for ends; 0 for never.</summary>
    public ulong OwnExpiry;
}

/// <summary>
/// Key of the prefix trie. Layout: prefix length in bits 4, address in wire order 16. The address is in four words, because eight-byte
/// stores at an offset of four would not be aligned on a program's stack.
/// </summary>
public readonly struct PrefixKey
{
    private readonly uint _length;
    private readonly uint _a;
    private readonly uint _b;
    private readonly uint _c;
    private readonly uint _d;

    /// <summary>The first <paramref name="bits"/> bits of the 128-bit form of <paramref name="address"/>.</summary>
    public PrefixKey(in IpAddress address, uint bits)
    {
        _length = bits;
        _a = (uint)address.RawUpper;
        _b = (uint)(address.RawUpper >> 32);
        _c = (uint)address.RawLower;
        _d = (uint)(address.RawLower >> 32);
    }

    /// <summary>The prefix that the key stands for.</summary>
    public IpPrefix Prefix
    {
        get
        {
            var address = new IpAddress(_a | ((ulong)_b << 32), _c | ((ulong)_d << 32));
            return new IpPrefix(address, (int)(address.IsIPv4 ? _length - 96 : _length));
        }
    }

    /// <summary>The key of a prefix.</summary>
    public static PrefixKey Of(IpPrefix prefix) => new(prefix.Address, (uint)prefix.MappedLength);
}
