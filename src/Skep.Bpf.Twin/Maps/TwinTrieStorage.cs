using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Twin.Maps;

/// <summary>
/// Longest-prefix-match trie, built as in <c>kernel/bpf/lpm_trie.c</c> of 6.13 and later, so that order, replacement and errors are the same.
/// A node without a value ("intermediate") stands where two prefixes part.
/// <code>
/// node   4 bytes flags | 4 bytes prefix length in bits | 4 + 4 bytes children (0 = none)
///        key bytes after the prefix length, rounded up to 8
///        value, rounded up to 8 bytes
/// </code>
/// </summary>
internal sealed unsafe partial class TwinTrieStorage : TwinMapStorage
{
    private const int HeaderSize = 16;
    private const int KeyHeader = 4;

    private readonly PinnedMemory _memory;
    private readonly nuint _nodeSize;
    private readonly int _dataSize;
    private readonly int _valueOffset;
    private readonly uint _maxPrefix;

    private byte* _nodes;
    private uint _root;
    private uint _count;
    private uint _used = 1;
    private uint _freeHead;

    public TwinTrieStorage(BpfMap map, TwinEnvironment environment, Lock gate)
        : base(map, environment, gate)
    {
        _dataSize = KeySize - KeyHeader;
        if (_dataSize is < 1 or > 256)
        {
            throw new ArgumentException($"The key of an LPM trie is a 32-bit prefix length and 1 to 256 bytes; '{map.Name}' has {KeySize} bytes.", nameof(map));
        }

        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaxEntries, 1u << 29, nameof(map));
        _maxPrefix = (uint)_dataSize * 8;
        _valueOffset = HeaderSize + ((_dataSize + 7) & ~7);
        _nodeSize = (nuint)(_valueOffset + ValueStride);

        // n prefixes part in at most n - 1 places; two more because a replacement is made before the old node goes, and node 0 is "none".
        _memory = new PinnedMemory(((2ul * MaxEntries) + 2) * _nodeSize);
        _nodes = _memory.Address;
    }

    private enum NodeKind : uint
    {
        Free,
        Prefix,
        Intermediate,
    }

    /// <inheritdoc/>
    public override uint Count => _count;

    /// <inheritdoc/>
    public override byte* Find(byte* key)
    {
        RequireLive();
        var found = 0u;
        if (PrefixOf(key) > _maxPrefix)
        {
            return null;
        }

        for (var number = _root; number != 0;)
        {
            var node = At(number);
            var match = Match(node, key);
            if (match == _maxPrefix)
            {
                found = number;
                break;
            }

            if (match < node->Prefix)
            {
                break;
            }

            if (node->Kind != NodeKind.Intermediate)
            {
                found = number;
            }

            number = node->Child(Bit(key + KeyHeader, node->Prefix));
        }

        return found == 0 ? null : Value(found);
    }

    /// <inheritdoc/>
    public override int Update(byte* key, byte* value, ulong mode)
    {
        RequireLive();
        var prefix = PrefixOf(key);
        if (mode > (ulong)UpdateMode.Exist || prefix > _maxPrefix)
        {
            return -Errno.Invalid;
        }

        // The place: a link to the first node that is not a proper prefix of the key.
        fixed (uint* root = &_root)
        {
            var link = root;
            var match = 0u;
            while (*link != 0)
            {
                var node = At(*link);
                match = Match(node, key);
                if (node->Prefix != match || node->Prefix == prefix)
                {
                    break;
                }

                link = node->ChildLink(Bit(key + KeyHeader, node->Prefix));
            }

            var occupant = *link;
            if (occupant != 0 && At(occupant)->Prefix == match && At(occupant)->Prefix == prefix && At(occupant)->Kind == NodeKind.Prefix)
            {
                if (mode == (ulong)UpdateMode.NoExist)
                {
                    return -Errno.Exists;
                }

                var fresh = NewPrefix(key, value);
                At(fresh)->Left = At(occupant)->Left;
                At(fresh)->Right = At(occupant)->Right;
                *link = fresh;
                Release(occupant);
                return 0;
            }

            if (mode == (ulong)UpdateMode.Exist)
            {
                return -Errno.NoEntry;
            }

            if (_count == MaxEntries)
            {
                return -Errno.NoSpace;
            }

            _count++;
            Place(link, match, key, value);
            return 0;
        }
    }

    /// <inheritdoc/>
    public override int Delete(byte* key)
    {
        RequireLive();
        var prefix = PrefixOf(key);
        if (prefix > _maxPrefix)
        {
            return -Errno.Invalid;
        }

        fixed (uint* root = &_root)
        {
            var link = root;
            var parentLink = root;
            var parent = 0u;
            var match = 0u;
            while (*link != 0)
            {
                var node = At(*link);
                match = Match(node, key);
                if (node->Prefix != match || node->Prefix == prefix)
                {
                    break;
                }

                parent = *link;
                parentLink = link;
                link = node->ChildLink(Bit(key + KeyHeader, node->Prefix));
            }

            var found = *link;
            if (found == 0 || At(found)->Prefix != prefix || At(found)->Prefix != match || At(found)->Kind == NodeKind.Intermediate)
            {
                return -Errno.NoEntry;
            }

            _count--;
            Unlink(found, link, parent, parentLink);
            return 0;
        }
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        lock (Gate)
        {
            IsDisposed = true;
            _nodes = null;
        }
    }

    private protected override int ReadEntry(byte* key, byte* value)
    {
        var found = Find(key);
        if (found == null)
        {
            return -Errno.NoEntry;
        }

        CopyOut(found, value);
        return 0;
    }

    private protected override int WriteEntry(byte* key, byte* value, ulong mode) => Update(key, value, mode);

    private protected override int NextEntry(byte* key, byte* next)
    {
        var number = key == null ? TrieOrder.First(this) : TrieOrder.After(this, key);
        if (number == 0)
        {
            return -Errno.NoEntry;
        }

        CopyKey(number, next);
        return 0;
    }

    private protected override int ReadEntries(ref ulong cursor, byte* keys, byte* values, int capacity, out bool done)
    {
        // Nodes do not move, so their number is the cursor; 0 begins.
        var read = 0;
        var number = Math.Max((uint)cursor, 1);
        for (; number < _used && read < capacity; number++)
        {
            if (At(number)->Kind == NodeKind.Prefix)
            {
                CopyKey(number, keys + ((long)read * KeySize));
                CopyOut(Value(number), values + ((long)read * UserValueSize));
                read++;
            }
        }

        cursor = number;
        done = number >= _used;
        return read;
    }

    private static uint PrefixOf(byte* key) => Unsafe.ReadUnaligned<uint>(key);

    private static int Bit(byte* data, uint index) => (data[index >> 3] >> (int)(7 - (index & 7))) & 1;

    private void Place(uint* link, uint match, byte* key, byte* value)
    {
        var occupant = *link;
        var fresh = NewPrefix(key, value);
        if (occupant == 0)
        {
            *link = fresh;
            return;
        }

        var node = At(occupant);
        if (node->Prefix == match && node->Prefix == PrefixOf(key))
        {
            // A parting place becomes a prefix of its own.
            At(fresh)->Left = node->Left;
            At(fresh)->Right = node->Right;
            *link = fresh;
            Release(occupant);
        }
        else if (match == PrefixOf(key))
        {
            *At(fresh)->ChildLink(Bit(DataOf(occupant), match)) = occupant;
            *link = fresh;
        }
        else
        {
            var parting = Take(NodeKind.Intermediate, match);
            Copy(DataOf(occupant), DataOf(parting), _dataSize);
            var side = Bit(key + KeyHeader, match);
            *At(parting)->ChildLink(side) = fresh;
            *At(parting)->ChildLink(1 - side) = occupant;
            *link = parting;
        }
    }

    private void Unlink(uint found, uint* link, uint parent, uint* parentLink)
    {
        var node = At(found);
        if (node->Left != 0 && node->Right != 0)
        {
            // It still parts two prefixes. The memory stays, as the kernel's does, and a reference to the value too.
            node->Kind = NodeKind.Intermediate;
            return;
        }

        if (parent != 0 && At(parent)->Kind == NodeKind.Intermediate && node->Left == 0 && node->Right == 0)
        {
            // The parting place has one side left: that side takes its place.
            *parentLink = link == &At(parent)->Left ? At(parent)->Right : At(parent)->Left;
            Release(parent);
            Release(found);
            return;
        }

        *link = node->Left != 0 ? node->Left : node->Right;
        Release(found);
    }

    private uint NewPrefix(byte* key, byte* value)
    {
        var number = Take(NodeKind.Prefix, PrefixOf(key));
        Copy(key + KeyHeader, DataOf(number), _dataSize);
        Copy(value, Value(number), ValueSize);
        return number;
    }

    private uint Take(NodeKind kind, uint prefix)
    {
        var number = _freeHead;
        if (number == 0)
        {
            number = _used++;
        }
        else
        {
            _freeHead = At(number)->Left;
        }

        *At(number) = new Node { Kind = kind, Prefix = prefix };
        return number;
    }

    private void Release(uint number)
    {
        *At(number) = new Node { Kind = NodeKind.Free, Left = _freeHead };
        _freeHead = number;
    }

    /// <summary>Leading bits that node and key share, at most the shorter prefix.</summary>
    private uint Match(Node* node, byte* key)
    {
        var limit = Math.Min(node->Prefix, PrefixOf(key));
        var a = (byte*)node + HeaderSize;
        var b = key + KeyHeader;
        uint bits = 0;
        var i = 0;
        for (; bits < limit && i + 4 <= _dataSize; i += 4, bits += 32)
        {
            var difference = Unsafe.ReadUnaligned<uint>(a + i) ^ Unsafe.ReadUnaligned<uint>(b + i);
            if (difference != 0)
            {
                return Math.Min(bits + (uint)BitOperations.LeadingZeroCount(BinaryPrimitives.ReverseEndianness(difference)), limit);
            }
        }

        for (; bits < limit && i < _dataSize; i++, bits += 8)
        {
            var difference = (uint)(a[i] ^ b[i]);
            if (difference != 0)
            {
                return Math.Min(bits + (uint)BitOperations.LeadingZeroCount(difference) - 24, limit);
            }
        }

        return limit;
    }

    private void CopyKey(uint number, byte* key)
    {
        Unsafe.WriteUnaligned(key, At(number)->Prefix);
        Copy(DataOf(number), key + KeyHeader, _dataSize);
    }

    private Node* At(uint number) => (Node*)(_nodes + (number * _nodeSize));

    private byte* DataOf(uint number) => _nodes + (number * _nodeSize) + HeaderSize;

    private byte* Value(uint number) => _nodes + (number * _nodeSize) + _valueOffset;

    private struct Node
    {
        public NodeKind Kind;
        public uint Prefix;
        public uint Left;
        public uint Right;

        public readonly uint Child(int side) => side == 0 ? Left : Right;

        // Nodes lie in pinned memory: the address of a field is stable.
        public uint* ChildLink(int side) => (uint*)Unsafe.AsPointer(ref side == 0 ? ref Left : ref Right);
    }
}
