using System.Buffers.Binary;
using Skep.Bpf.Kernel;

namespace Skep.Bpf.Btf;

/// <summary>What a kernel may not know in BTF, each with the kernel that first did.</summary>
[Flags]
internal enum BtfFeatures
{
    None = 0,

    /// <summary>Functions (kernel 5.0).</summary>
    Functions = 1,

    /// <summary>Variables and data sections (kernel 5.2).</summary>
    DataSections = 2,

    /// <summary>Functions that are verified by themselves (kernel 5.6).</summary>
    GlobalFunctions = 4,

    /// <summary>Floating point numbers (kernel 5.13).</summary>
    Floats = 8,

    /// <summary>Tags of declarations (kernel 5.16).</summary>
    DeclarationTags = 16,

    /// <summary>Tags of types (kernel 5.17).</summary>
    TypeTags = 32,

    /// <summary>Enumerations of 64 bits (kernel 6.0).</summary>
    WideEnums = 64,

    /// <summary>Names of sections that begin with a question mark (kernel 6.9).</summary>
    OptionalSections = 128,
}

/// <summary>
/// Replaces kinds of types that a kernel does not know by ones of the same size in the file, so that nothing moves, as libbpf does: a float
/// by a struct, a tag of a declaration by an integer, a tag of a type by const, a 64-bit enumeration by a union, a data section by a struct,
/// a variable by an integer, a function by a typedef, its type by an enumeration.
/// </summary>
internal static class BtfDowngrade
{
    private static readonly Lazy<BtfFeatures> s_missing = new(Probe);

    /// <summary>What the running kernel does not know; found out once.</summary>
    internal static BtfFeatures Missing() => s_missing.Value;

    internal static byte[] Apply(ReadOnlySpan<byte> btf, BtfFeatures missing)
    {
        var result = btf.ToArray();
        using var types = BtfFile.Parse(btf);
        for (var id = 1u; id < (uint)types.Count; id++)
        {
            var type = types[id];
            var record = result.AsSpan(types.PositionOf(id));
            switch (type.Kind)
            {
                case BtfKind.Float when missing.HasFlag(BtfFeatures.Floats):
                    // A struct without members keeps the size.
                    Rewrite(record, 0, BtfKind.Struct, 0);
                    break;
                case BtfKind.DeclarationTag when missing.HasFlag(BtfFeatures.DeclarationTags):
                case BtfKind.Variable when missing.HasFlag(BtfFeatures.DataSections):
                    // The fourth word is the shape of the integer: eight bits from the first on. An integer must have a size.
                    Rewrite(record, 0, BtfKind.Int, 0);
                    Set(record[8..], 1);
                    Set(record[12..], 8);
                    break;
                case BtfKind.TypeTag when missing.HasFlag(BtfFeatures.TypeTags):
                    Rewrite(record, 0, BtfKind.Const, 0);
                    break;
                case BtfKind.Enum64 when missing.HasFlag(BtfFeatures.WideEnums):
                    RewriteEnum(types, type, record);
                    break;
                case BtfKind.DataSection when missing.HasFlag(BtfFeatures.DataSections):
                    RewriteSection(types, type, record);
                    break;
                case BtfKind.DataSection when missing.HasFlag(BtfFeatures.OptionalSections) && type.Name.StartsWith('?'):
                    result[types.Strings.Start + (int)types.NameOffsetOf(id)] = (byte)'_';
                    break;
                case BtfKind.Function when missing.HasFlag(BtfFeatures.Functions):
                    Rewrite(record, types.NameOffsetOf(id), BtfKind.Typedef, 0);
                    break;
                case BtfKind.Function when missing.HasFlag(BtfFeatures.GlobalFunctions):
                    Rewrite(record, types.NameOffsetOf(id), BtfKind.Function, 0);
                    break;
                case BtfKind.FunctionPrototype when missing.HasFlag(BtfFeatures.Functions):
                    // Names and types of parameters pass for names and values of enumerators.
                    Rewrite(record, 0, BtfKind.Enum, type.Count);
                    Set(record[8..], 4);
                    for (var i = 0; i < type.Count; i++)
                    {
                        Set(record[(12 + (i * 8))..], NameOfAny(types));
                    }

                    break;
            }
        }

        return result;
    }

    /// <summary>Bytes of the values become members of type byte; their names stay.</summary>
    private static void RewriteEnum(BtfFile types, BtfType type, Span<byte> record)
    {
        Rewrite(record, types.NameOffsetOf(type.Id), BtfKind.Union, type.Count);
        for (var i = 0; i < type.Count; i++)
        {
            Set(record[(16 + (i * 12))..], SmallestInteger(types, type.SizeOrType));
            Set(record[(20 + (i * 12))..], 0);
        }
    }

    /// <summary>Type, offset and size of a variable become name, type and offset in bits of a member.</summary>
    private static void RewriteSection(BtfFile types, BtfType type, Span<byte> record)
    {
        Rewrite(record, 0, BtfKind.Struct, type.Count);
        for (var i = 0; i < type.Count; i++)
        {
            var entry = record[(12 + (i * 12))..];
            var (variable, offset) = (BinaryPrimitives.ReadUInt32LittleEndian(entry), BinaryPrimitives.ReadUInt32LittleEndian(entry[4..]));
            Set(entry, types.NameOffsetOf(variable));
            Set(entry[4..], types[variable] is { Kind: BtfKind.Variable, SizeOrType: var of } ? of : variable);
            Set(entry[8..], offset * 8);
        }
    }

    private static uint SmallestInteger(BtfFile types, uint most)
    {
        for (var id = 1u; id < (uint)types.Count; id++)
        {
            if (types[id] is { Kind: BtfKind.Int, SizeOrType: var size } && size <= most)
            {
                return id;
            }
        }

        throw new InvalidDataException("The object's types have no integer.");
    }

    private static uint NameOfAny(BtfFile types)
    {
        for (var id = 1u; id < (uint)types.Count; id++)
        {
            if (types[id] is { Kind: BtfKind.Int or BtfKind.Function, Name: var name } && name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_'))
            {
                return types.NameOffsetOf(id);
            }
        }

        throw new InvalidDataException("The object's types have no name that would do.");
    }

    private static void Rewrite(Span<byte> record, uint name, BtfKind kind, int count)
    {
        Set(record, name);
        Set(record[4..], ((uint)kind << 24) | (uint)count);
    }

    private static void Set(Span<byte> at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(at, value);

    private static BtfFeatures Probe()
    {
        var missing = BtfFeatures.None;
        Try(BtfFeatures.Functions, b => b.AddFunction("f", b.AddPrototype(0), global: false));
        Try(BtfFeatures.GlobalFunctions, b => b.AddFunction("f", b.AddPrototype(0), global: true));
        Try(BtfFeatures.DataSections, b => b.AddVariable("v", b.AddInt("int", 4, true)));
        Try(BtfFeatures.Floats, b => b.AddFloat("float", 4));
        Try(BtfFeatures.DeclarationTags, b => b.AddDeclarationTag("tag", b.AddStruct("s", 0)));
        Try(BtfFeatures.TypeTags, b => b.AddPointer(b.AddTypeTag("tag", b.AddInt("int", 4, true))));
        Try(BtfFeatures.WideEnums, b => b.AddEnum64("e", ("v", 1)));
        Try(BtfFeatures.OptionalSections, b => b.AddDataSection("?.x", 4, (b.AddVariable("v", b.AddInt("int", 4, true)), 0u, 4u)));
        return missing;

        void Try(BtfFeatures feature, Action<BtfBuilder> build)
        {
            var builder = new BtfBuilder();
            build(builder);
            // Another refusal, as without permission, says nothing of what the kernel knows.
            if (BpfSyscall.BtfLoad(builder.Build(), default, out var handle) == -Errno.Invalid)
            {
                missing |= feature;
            }

            handle.Dispose();
        }
    }
}
