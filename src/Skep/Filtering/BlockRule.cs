using Skep.Packets;

namespace Skep.Filtering;

/// <summary>A blocked address or prefix. Layout: expiry 8, packets 8, bytes 8.</summary>
public struct BlockRule
{
    /// <summary>Monotonic time in nanoseconds at which the rule ends; 0 for never.</summary>
    public ulong ExpiresAt;

    /// <summary>Packets dropped.</summary>
    public ulong Packets;

    /// <summary>Bytes dropped.</summary>
    public ulong Bytes;
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
