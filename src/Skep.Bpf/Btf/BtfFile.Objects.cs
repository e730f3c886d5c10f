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

    /// <summary>Where the record of a type begins in the file, in bytes. Not for types of the base.</summary>
    internal int PositionOf(uint id) =>
        (int)((byte*)Record(id) - _memory.Address) is >= 0 and var at && at < (int)_memory.Length ? at : throw new ArgumentOutOfRangeException(nameof(id));

    /// <summary>The whole file.</summary>
    internal ReadOnlySpan<byte> Bytes => new(_memory.Address, (int)_memory.Length);

    /// <summary>Where the strings begin in the file, and their length, in bytes.</summary>
    internal (int Start, int Length) Strings => ((int)(_strings - _memory.Address), _stringsLength);

    /// <summary>Where a further string would begin, those of the base counted.</summary>
    internal uint EndOfStrings => _firstString + (uint)_stringsLength;

    /// <summary>Where the name of a type is in the strings.</summary>
    internal uint NameOffsetOf(uint id) => Record(id)[0];

    /// <summary>Who sees a variable or function (<c>BTF_VAR_*</c>, <c>BTF_FUNC_*</c>).</summary>
    internal int LinkageOf(uint id) => this[id] switch
    {
        { Kind: BtfKind.Variable } => (int)Record(id)[3],
        { Kind: BtfKind.Function, Count: var linkage } => linkage,
        var type => throw new InvalidDataException($"Type {id} of the BTF is {type.Kind}, no variable or function."),
    };

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

    /// <summary>Whether there is a string at an offset.</summary>
    internal bool HasString(uint offset) => TryStringAt(offset, out _);

    /// <summary>The string at an offset, cut to a length in bytes.</summary>
    internal string StringAt(uint offset, int longest)
    {
        var tail = TryStringAt(offset, out var found) ? found : throw new InvalidDataException($"The BTF has no string at {offset}.");
        tail = tail[..Math.Min(tail.Length, longest)];
        var end = tail.IndexOf((byte)0);
        return System.Text.Encoding.UTF8.GetString(end < 0 ? tail : tail[..end]);
    }

    /// <summary>Whether an integer is signed, whether it is a truth value, its width in bits, and the bit it begins at.</summary>
    internal (bool Signed, bool Truth, int Bits, int Shift) Integer(uint id)
    {
        // 0-7 bits, 16-23 offset, 24 signed, 25 character, 26 truth value
        var word = OfKind(id, BtfKind.Int)[3];
        return ((word & (1u << 24)) != 0, (word & (1u << 26)) != 0, (int)(word & 0xff), (int)((word >> 16) & 0xff));
    }

    /// <summary>Names and types of the parameters of a function's type.</summary>
    internal (string Name, uint Type)[] Parameters(uint id)
    {
        // struct btf_param: name, type
        var entry = OfKind(id, BtfKind.FunctionPrototype) + 3;
        var result = new (string Name, uint Type)[this[id].Count];
        for (var i = 0; i < result.Length; i++, entry += 2)
        {
            result[i] = (Text(entry[0]), entry[1]);
        }

        return result;
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
