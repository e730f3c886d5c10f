using System.Buffers.Binary;
using System.Text;

namespace Skep.Bpf.Btf;

/// <summary>Writes BTF: types get numbers from 1 in the order in which they are added; equal strings are stored once.</summary>
public sealed class BtfBuilder
{
    private readonly List<byte> _types = [];
    private readonly List<byte> _strings = [0];
    private readonly Dictionary<string, uint> _stringOffsets = new() { [""] = 0 };
    private readonly uint _firstString;
    private uint _lastId;

    /// <summary>Begins BTF of its own.</summary>
    public BtfBuilder()
    {
    }

    /// <summary>Begins BTF that goes on where other BTF ends, as that of a kernel module does where the kernel's ends.</summary>
    public BtfBuilder(BtfFile baseTypes)
    {
        ArgumentNullException.ThrowIfNull(baseTypes);
        (_lastId, _firstString) = ((uint)baseTypes.Count - 1, baseTypes.EndOfStrings);
    }

    /// <summary>Number that the next type will get, for types that refer to each other.</summary>
    public uint NextId => _lastId + 1;

    /// <summary>Stores a string and gives its offset.</summary>
    public uint AddString(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (!_stringOffsets.TryGetValue(text, out var offset))
        {
            offset = _firstString + (uint)_strings.Count;
            _strings.AddRange(Encoding.UTF8.GetBytes(text.Replace('\0', ' ')));
            _strings.Add(0);
            _stringOffsets.Add(text, offset);
        }

        return offset;
    }

    /// <summary>Adds an integer of <paramref name="size"/> bytes.</summary>
    public uint AddInt(string name, int size, bool signed) =>
        Add(name, BtfKind.Int, 0, (uint)size, ((signed ? 1u : 0) << 24) | (uint)(size * 8));

    /// <summary>Adds a pointer to a type; 0 is void.</summary>
    public uint AddPointer(uint target) => Add("", BtfKind.Pointer, 0, target);

    /// <summary>Adds a struct. A member is a name, a type and an offset in bits.</summary>
    public uint AddStruct(string name, int size, params ReadOnlySpan<(string Name, uint Type, uint BitOffset)> members)
    {
        var id = Add(name, BtfKind.Struct, members.Length, (uint)size);
        foreach (var (memberName, type, bits) in members)
        {
            Write(AddString(memberName), type, bits);
        }

        return id;
    }

    /// <summary>Adds a struct with bit fields. A member is a name, a type, an offset in bits and a width in bits, 0 for whole types.</summary>
    public uint AddBitFieldStruct(string name, int size, params ReadOnlySpan<(string Name, uint Type, uint BitOffset, uint Width)> members)
    {
        // The sign bit is the kind flag: offsets below 2^24, the width above them.
        var id = Add(name, BtfKind.Struct, members.Length | int.MinValue, (uint)size);
        foreach (var (memberName, type, bits, width) in members)
        {
            Write(AddString(memberName), type, bits | (width << 24));
        }

        return id;
    }

    /// <summary>Adds a union. A member is a name and a type.</summary>
    public uint AddUnion(string name, int size, params ReadOnlySpan<(string Name, uint Type)> members)
    {
        var id = Add(name, BtfKind.Union, members.Length, (uint)size);
        foreach (var (memberName, type) in members)
        {
            Write(AddString(memberName), type, 0);
        }

        return id;
    }

    /// <summary>Adds an array.</summary>
    public uint AddArray(uint element, uint index, uint count) => Add("", BtfKind.Array, 0, 0, element, index, count);

    /// <summary>Adds a floating-point number of <paramref name="size"/> bytes (kernel 5.13).</summary>
    public uint AddFloat(string name, int size) => Add(name, BtfKind.Float, 0, (uint)size);

    /// <summary>Adds an enumeration of 32-bit values.</summary>
    public uint AddEnum(string name, params ReadOnlySpan<(string Name, int Value)> values) => AddEnum(name, 4, values);

    /// <summary>Adds an enumeration whose values take <paramref name="size"/> bytes in memory: 1, 2 or 4.</summary>
    public uint AddEnum(string name, int size, params ReadOnlySpan<(string Name, int Value)> values)
    {
        var id = Add(name, BtfKind.Enum, values.Length | int.MinValue, (uint)size);
        foreach (var (valueName, value) in values)
        {
            Write(AddString(valueName), (uint)value);
        }

        return id;
    }

    /// <summary>Adds another name for a type.</summary>
    public uint AddTypedef(string name, uint target) => Add(name, BtfKind.Typedef, 0, target);

    /// <summary>Adds a constant version of a type.</summary>
    public uint AddConst(uint target) => Add("", BtfKind.Const, 0, target);

    /// <summary>Adds the type of a function.</summary>
    public uint AddPrototype(uint result, params ReadOnlySpan<(string Name, uint Type)> parameters)
    {
        var id = Add("", BtfKind.FunctionPrototype, parameters.Length, result);
        foreach (var (name, type) in parameters)
        {
            Write(AddString(name), type);
        }

        return id;
    }

    /// <summary>Adds a function; a global one is verified by itself.</summary>
    public uint AddFunction(string name, uint prototype, bool global) => Add(name, BtfKind.Function, global ? 1 : 0, prototype);

    /// <summary>Adds a global variable.</summary>
    public uint AddVariable(string name, uint type) => Add(name, BtfKind.Variable, 0, type, 1);

    /// <summary>Adds a section of variables; where they are in it is left to whoever links the object.</summary>
    public uint AddDataSection(string name, params ReadOnlySpan<uint> variables)
    {
        var id = Add(name, BtfKind.DataSection, variables.Length, 0);
        foreach (var variable in variables)
        {
            Write(variable, 0, 0);
        }

        return id;
    }

    /// <summary>Adds a section of variables of that size. A variable is its type, where it begins and its size, in bytes.</summary>
    public uint AddDataSection(string name, int size, params ReadOnlySpan<(uint Variable, uint Offset, uint Size)> variables)
    {
        var id = Add(name, BtfKind.DataSection, variables.Length, (uint)size);
        foreach (var (variable, offset, bytes) in variables)
        {
            Write(variable, offset, bytes);
        }

        return id;
    }

    /// <summary>Adds a tag of a struct, variable or function (kernel 5.16).</summary>
    public uint AddDeclarationTag(string tag, uint target) => Add(tag, BtfKind.DeclarationTag, 0, target, uint.MaxValue);

    /// <summary>Adds a tag of a type that a pointer points at (kernel 5.17).</summary>
    public uint AddTypeTag(string tag, uint target) => Add(tag, BtfKind.TypeTag, 0, target);

    /// <summary>Adds an enumeration of 64-bit values (kernel 6.0).</summary>
    public uint AddEnum64(string name, params ReadOnlySpan<(string Name, long Value)> values)
    {
        var id = Add(name, BtfKind.Enum64, values.Length | int.MinValue, 8);
        foreach (var (valueName, value) in values)
        {
            Write(AddString(valueName), (uint)value, (uint)(value >> 32));
        }

        return id;
    }

    /// <summary>The BTF, in little-endian order: a header of 24 bytes, the types, the strings.</summary>
    public byte[] Build()
    {
        var result = new byte[24 + _types.Count + _strings.Count];
        var header = result.AsSpan();
        BinaryPrimitives.WriteUInt16LittleEndian(header, 0xeb9f);
        header[2] = 1;
        BinaryPrimitives.WriteUInt32LittleEndian(header[4..], 24);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], 0);
        BinaryPrimitives.WriteUInt32LittleEndian(header[12..], (uint)_types.Count);
        BinaryPrimitives.WriteUInt32LittleEndian(header[16..], (uint)_types.Count);
        BinaryPrimitives.WriteUInt32LittleEndian(header[20..], (uint)_strings.Count);
        _types.CopyTo(result, 24);
        _strings.CopyTo(result, 24 + _types.Count);
        return result;
    }

    // The sign bit of the count is the kind flag.
    private uint Add(string name, BtfKind kind, int count, uint sizeOrType, params ReadOnlySpan<uint> extra)
    {
        Write(AddString(name), ((uint)kind << 24) | (uint)count, sizeOrType);
        Write(extra);
        return ++_lastId;
    }

    private void Write(params ReadOnlySpan<uint> words)
    {
        Span<byte> word = stackalloc byte[4];
        foreach (var value in words)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(word, value);
            _types.AddRange(word);
        }
    }
}
