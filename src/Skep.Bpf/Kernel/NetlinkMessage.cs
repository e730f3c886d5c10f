using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Skep.Bpf.Kernel;

/// <summary>
/// Builds one rtnetlink request.
/// <code>
/// nlmsghdr  0 length:4   4 type:2   6 flags:2   8 sequence:4   12 port:4
/// then the fixed part of the type, then attributes:  0 length:2   2 type:2   4 payload, padded to 4 bytes
/// </code>
/// </summary>
internal sealed class NetlinkMessage
{
    internal const int HeaderSize = 16;

    // RTM_*, linux/rtnetlink.h
    internal const ushort NewLink = 16, DeleteLink = 17, GetLink = 18, SetLink = 19, NewAddress = 20, DeleteAddress = 21, NewRoute = 24, DeleteRoute = 25, GetRoute = 26, NewNeighbour = 28,
        DeleteNeighbour = 29, GetNeighbour = 30, NewRule = 32, DeleteRule = 33, NewQdisc = 36, DeleteQdisc = 37, NewFilter = 44,
        DeleteFilter = 45, GetFilter = 46;

    // NLM_F_*, linux/netlink.h
    internal const ushort Request = 1, Acknowledge = 4, Replace = 0x100, Exclusive = 0x200, Create = 0x400, Dump = 0x300;

    private const ushort Nested = 0x8000;

    private readonly List<byte> _bytes = [];

    internal NetlinkMessage(ushort type, ushort flags)
    {
        Type = type;
        IsDump = (flags & Dump) == Dump && type is GetLink or GetFilter or GetNeighbour;
        Add(0);
        Add((uint)(type | ((flags | Request | (IsDump ? 0 : Acknowledge)) << 16)));
        Add(0);
        Add(0);
    }

    internal ushort Type { get; }

    internal bool IsDump { get; }

    /// <summary>Adds a word of the fixed part.</summary>
    internal NetlinkMessage Add(uint value)
    {
        Span<byte> word = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(word, value);
        _bytes.AddRange(word);
        return this;
    }

    /// <summary>Adds the fixed part of link messages, <c>ifinfomsg</c>: family:1 pad:1 type:2 index:4 flags:4 change:4.</summary>
    internal NetlinkMessage AddLinkHeader(int index, uint flags = 0, uint change = 0) => Add(0).Add((uint)index).Add(flags).Add(change);

    /// <summary>Adds the fixed part of traffic control messages, <c>tcmsg</c>: family:1 pad:3 ifindex:4 handle:4 parent:4 info:4.</summary>
    internal NetlinkMessage AddTrafficControlHeader(int index, uint handle, uint parent, uint info) =>
        Add(0).Add((uint)index).Add(handle).Add(parent).Add(info);

    internal NetlinkMessage Attribute(ushort type, ReadOnlySpan<byte> payload)
    {
        Add((uint)((4 + payload.Length) | (type << 16)));
        _bytes.AddRange(payload);
        while (_bytes.Count % 4 != 0)
        {
            _bytes.Add(0);
        }

        return this;
    }

    internal NetlinkMessage Attribute(ushort type, uint value)
    {
        Span<byte> word = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(word, value);
        return Attribute(type, word);
    }

    internal NetlinkMessage Attribute(ushort type, string text) => Attribute(type, Encoding.UTF8.GetBytes(text + '\0'));

    internal NetlinkMessage Nest(ushort type, Action<NetlinkMessage> content)
    {
        var start = _bytes.Count;
        Add((uint)((type | Nested) << 16));
        content(this);
        BinaryPrimitives.WriteUInt16LittleEndian(CollectionsMarshal.AsSpan(_bytes)[start..], (ushort)(_bytes.Count - start));
        return this;
    }

    /// <summary>The finished message.</summary>
    internal byte[] ToArray(uint sequence)
    {
        var result = _bytes.ToArray();
        BinaryPrimitives.WriteInt32LittleEndian(result, result.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(result.AsSpan(8), sequence);
        return result;
    }

    /// <summary>The payload of the first attribute of that type among <paramref name="attributes"/>, or empty.</summary>
    internal static ReadOnlySpan<byte> Find(ReadOnlySpan<byte> attributes, ushort type)
    {
        while (attributes.Length >= 4)
        {
            var length = BinaryPrimitives.ReadUInt16LittleEndian(attributes);
            if (length < 4 || length > attributes.Length)
            {
                break;
            }

            if ((BinaryPrimitives.ReadUInt16LittleEndian(attributes[2..]) & 0x3fff) == type)
            {
                return attributes[4..length];
            }

            attributes = attributes[Math.Min((length + 3) & ~3, attributes.Length)..];
        }

        return default;
    }

    internal static uint FindNumber(ReadOnlySpan<byte> attributes, ushort type) =>
        Find(attributes, type) is { Length: >= 4 } payload ? BinaryPrimitives.ReadUInt32LittleEndian(payload) : 0;
}
