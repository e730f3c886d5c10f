namespace Skep.Bpf.Btf;

/// <summary>What reading an object file needs of its types.</summary>
public sealed unsafe partial class BtfFile
{
    /// <summary>Element type and number of elements of an array.</summary>
    internal (uint Element, uint Count) ArrayShape(uint id)
    {
        // struct btf_array: element type, index type, number of elements
        var array = OfKind(id, BtfKind.Array) + 3;
        return (array[0], array[2]);
    }

    /// <summary>The variables of a data section: numbers of their types (<see cref="BtfKind.Variable"/>).</summary>
    internal uint[] Variables(uint id)
    {
        // struct btf_var_secinfo: type, offset, size
        var entry = OfKind(id, BtfKind.DataSection) + 3;
        var result = new uint[this[id].Count];
        for (var i = 0; i < result.Length; i++, entry += 3)
        {
            result[i] = entry[0];
        }

        return result;
    }

    /// <summary>The string at an offset, cut to a length in bytes.</summary>
    internal string StringAt(uint offset, int longest)
    {
        if (offset >= (uint)_stringsLength)
        {
            throw new InvalidDataException($"The BTF has no string at {offset}.");
        }

        var tail = new ReadOnlySpan<byte>(_strings + offset, Math.Min(_stringsLength - (int)offset, longest));
        var end = tail.IndexOf((byte)0);
        return System.Text.Encoding.UTF8.GetString(end < 0 ? tail : tail[..end]);
    }

    /// <summary>Numbers of all types of that name and one of the kinds.</summary>
    internal List<uint> FindAll(string name, params ReadOnlySpan<BtfKind> kinds)
    {
        var encoded = System.Text.Encoding.UTF8.GetBytes(name + '\0');
        var strings = new ReadOnlySpan<byte>(_strings, _stringsLength);
        var offsets = new HashSet<uint>();
        for (var from = 0; from < strings.Length && strings[from..].IndexOf(encoded) is >= 0 and var found; from += found + 1)
        {
            offsets.Add((uint)(from + found));
        }

        var result = new List<uint>();
        for (var id = 1u; offsets.Count > 0 && id < (uint)_count; id++)
        {
            var record = (uint*)(_types + _offsets[id]);
            if (kinds.Contains(KindOf(record[1])) && offsets.Contains(record[0]))
            {
                result.Add(id);
            }
        }

        GC.KeepAlive(_memory);
        return result;
    }

    /// <summary>Whether an integer is signed, and its width.</summary>
    internal (bool Signed, int Bits) Integer(uint id)
    {
        // encoding:4 in the third byte from the right, offset, bits
        var word = OfKind(id, BtfKind.Int)[3];
        return ((word & (1u << 24)) != 0, (int)(word & 0xff));
    }

    /// <summary>An enumerator by its index.</summary>
    internal BtfEnumerator Enumerator(uint id, int index)
    {
        var type = this[id];
        if (type.Kind is not (BtfKind.Enum or BtfKind.Enum64) || (uint)index >= (uint)type.Count)
        {
            throw new InvalidDataException($"Type {id} of the BTF has no enumerator {index}.");
        }

        var at = Record(id) + 3 + (index * (type.Kind == BtfKind.Enum64 ? 3 : 2));
        var low = at[1];
        return new BtfEnumerator(Text(at[0]), type.Kind == BtfKind.Enum64 ? (long)(low | ((ulong)at[2] << 32)) : type.KindFlag ? (int)low : low);
    }

    /// <summary>The member of a struct or union by name, also one within anonymous members; null when there is none.</summary>
    internal BtfMember? FindMemberOf(uint id, string name) => FindMember(id, System.Text.Encoding.UTF8.GetBytes(name), []);

    private uint* OfKind(uint id, BtfKind kind)
    {
        var record = Record(id);
        return id != 0 && KindOf(record[1]) == kind ? record : throw new InvalidDataException($"Type {id} of the BTF is no {kind}.");
    }
}
