using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using Skep.Bpf.Btf;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>
/// Finds the kernel's types behind views (CO-RE, done at compile time). A name that several structs of the kernel share is decided once for the
/// whole program: by the one that has all fields of the view, or not at all.
/// </summary>
internal sealed class KernelLayouts(BtfFile? btf)
{
    private static readonly MemberCache<Type, bool> s_views = new(static t => t.GetCustomAttribute<KernelStructAttribute>(false) is { IsValue: false });
    private readonly Dictionary<Type, uint?> _structs = [];
    private readonly Dictionary<string, (Type View, uint? Id)> _byName = [];

    public static bool IsView(Type? type) => type is { IsValueType: true, IsEnum: false } && s_views.Of(type);

    public static string Describe(Type view)
    {
        var attribute = view.GetCustomAttribute<KernelStructAttribute>()!;
        return attribute.Member.Length == 0 ? $"struct {attribute.Name}" : $"{attribute.Name}.{attribute.Member}";
    }

    public static string PathOf(FieldInfo field) => field.GetCustomAttribute<KernelFieldAttribute>()?.Path ?? KernelName.FromCSharp(field.Name);

    /// <summary>Number of the struct, or null when the kernel has none of that name.</summary>
    public uint? Find(Type view, SourcePosition position)
    {
        var types = Require(Describe(view), position);
        if (_structs.TryGetValue(view, out var known))
        {
            return known;
        }

        var attribute = view.GetCustomAttribute<KernelStructAttribute>()!;
        uint? id;
        if (attribute.Member.Length > 0)
        {
            id = types.FindField(attribute.Name, attribute.Member) is { } member ? Element(types, member.Type) : null;
        }
        else
        {
            id = Choose(types, view, attribute.Name, position);
            if (_byName.TryGetValue(attribute.Name, out var other) && other.Id != id)
            {
                throw new CompileException(
                    Rule.KernelField,
                    $"this kernel has several structs called {attribute.Name}, and the views {other.View.Name} and {view.Name} fit different ones; use one view of it in a program",
                    position);
            }

            _byName[attribute.Name] = (view, id);
        }

        return _structs[view] = id;
    }

    /// <summary>Where the kernel has the field, or null when struct or field do not exist.</summary>
    public BtfField? Field(FieldInfo field, SourcePosition position) =>
        Find(field.DeclaringType!, position) is { } id ? Require("", position).FindFieldOf(id, PathOf(field)) : null;

    /// <summary>Bytes of a type within the kernel: of views and inline arrays of them as the kernel lays them out, of others as C# does.</summary>
    public int SizeOf(Type type, SourcePosition position)
    {
        if (IsView(type))
        {
            return Find(type, position) is { } id ? btf!.SizeOf(id) : throw new CompileException(
                Rule.KernelField, $"this kernel has no {Describe(type)}; ask KernelType.Exists<{type.Name}>() before using it", position);
        }

        return type.GetCustomAttribute<InlineArrayAttribute>() is { } array && type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic) is [var element]
            ? array.Length * SizeOf(element.FieldType, position)
            : TypeLayout.SizeOf(type);
    }

    /// <summary>Whether the kernel's integer or enumeration is signed.</summary>
    public bool IsSigned(uint id)
    {
        var type = btf![btf.SkipModifiers(id)];
        return type.Kind == BtfKind.Int ? btf.Integer(type.Id).Signed : type.Kind is BtfKind.Enum or BtfKind.Enum64 && type.KindFlag;
    }

    /// <summary>What contradicts the view in the kernel's type of a field, or null.</summary>
    public string? Contradiction(FieldInfo field, BtfField where, SourcePosition position)
    {
        var view = field.FieldType.IsPointer ? field.FieldType.GetElementType()! : field.FieldType;
        if (!IsView(view) || view.GetCustomAttribute<KernelStructAttribute>()! is { Member.Length: > 0 })
        {
            var size = SizeOf(field.FieldType, position);
            return TypeLayout.ScalarOf(field.FieldType) is null ? size > where.Size ? $"has {where.Size} bytes in this kernel, the view says {size}" : null
                : where.Size > 8 ? $"has {where.Size} bytes in this kernel, which is no number"
                : where.BitSize == 0 && where.Size > size ? $"has {where.Size} bytes in this kernel, the view only {size}; declare it wider" : null;
        }

        var actual = field.FieldType.IsPointer ? Pointee(where.Type) : btf!.SkipModifiers(where.Type);
        var wanted = view.GetCustomAttribute<KernelStructAttribute>()!.Name;
        return actual is { } id && btf![id].Name != wanted && Element(btf, id) != Find(view, position)
            ? $"is of type '{btf[id].Name}' in this kernel, the view says '{wanted}'" : null;
    }

    /// <summary>The kernel's value for a member of an enumeration, or null when it has none.</summary>
    public long? Value(Type type, long member, SourcePosition position)
    {
        var enumeration = type.GetCustomAttribute<KernelEnumAttribute>() ?? throw new CompileException(
            Rule.KernelField, $"{type.Name} is no view of a kernel enumeration; mark it with [KernelEnum(\"name\")]", position);
        var named = Enum.GetName(type, Enum.ToObject(type, member)) ?? throw new CompileException(
            Rule.KernelField, $"{type.Name} has no member with the value {member.ToString(CultureInfo.InvariantCulture)}; ask about a member by its name", position);
        var field = type.GetField(named)!;
        var name = field.GetCustomAttribute<KernelFieldAttribute>()?.Path ?? named;
        foreach (var enumerator in Require($"enum {enumeration.Name}", position).Enumerators(enumeration.Name))
        {
            if (enumerator.Name == name)
            {
                return enumerator.Value;
            }
        }

        return null;
    }

    /// <summary>The BTF, or the error that there is none.</summary>
    public BtfFile Require(string what, SourcePosition position) => btf ?? throw new CompileException(
        Rule.KernelField, $"{what} of the kernel is used, but the kernel has no BTF (/sys/kernel/btf/vmlinux); use a kernel with CONFIG_DEBUG_INFO_BTF, and name it in CompileTarget.KernelBtf", position);

    /// <summary>The struct that a pointer type points to, else null.</summary>
    public uint? Pointee(uint pointer)
    {
        var type = btf![btf.SkipModifiers(pointer)];
        return type.Kind == BtfKind.Pointer && btf.SkipModifiers(type.SizeOrType) is var target && IsStruct(btf[target]) ? target : null;
    }

    /// <summary>Type of an argument of a typed tracepoint, or null when the kernel has no such tracepoint or argument.</summary>
    public uint? TracepointArgument(string tracepoint, int index)
    {
        if (btf!.Find("btf_trace_" + tracepoint, BtfKind.Typedef) is not { } id || btf[btf.SkipModifiers(id)] is not { Kind: BtfKind.Pointer } pointer)
        {
            return null;
        }

        // The first parameter is the tracepoint's own.
        var parameters = btf.Parameters(pointer.SizeOrType);
        return index + 1 < parameters.Length ? parameters[index + 1].Type : null;
    }

    /// <summary>Type of a word of an iterator's context, or null when the kernel has no such iterator or word.</summary>
    public uint? IteratorWord(string target, int index) =>
        btf!.Find("bpf_iter__" + target, BtfKind.Struct) is { } id && btf.Members(id).FirstOrDefault(m => m.BitOffset == index * 64) is { Type: > 0 } member
            ? Element(btf, btf[member.Type].Kind is BtfKind.Union or BtfKind.Struct ? btf.Members(member.Type)[0].Type : member.Type) : null;

    public bool IsPointer(uint type) => btf![btf.SkipModifiers(type)].Kind == BtfKind.Pointer;

    public static bool IsStruct(BtfType type) => type.Kind is BtfKind.Struct or BtfKind.Union;

    /// <summary>The type without modifiers, of an array that of its elements.</summary>
    public static uint Element(BtfFile types, uint id)
    {
        id = types.SkipModifiers(id);
        return types[id].Kind == BtfKind.Array ? Element(types, types.ArrayShape(id).Element) : id;
    }

    private static uint? Choose(BtfFile types, Type view, string name, SourcePosition position)
    {
        var candidates = types.FindAll(name, BtfKind.Struct, BtfKind.Union);
        if (candidates.Count == 0)
        {
            // A struct that has no name but in a typedef, as atomic_t.
            candidates = [.. types.FindAll(name, BtfKind.Typedef).Select(types.SkipModifiers).Where(t => IsStruct(types[t])).Distinct()];
        }

        if (candidates.Count < 2)
        {
            return candidates.Count == 0 ? null : candidates[0];
        }

        var paths = view.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic).Select(PathOf).ToArray();
        var fitting = candidates.Where(c => paths.All(p => types.FindFieldOf(c, p) is not null)).ToList();

        // Several that agree about every field of the view are as good as one; their sizes may be asked for too.
        var first = fitting.Count == 0 ? 0 : fitting[0];
        if (fitting.Count > 0 && fitting.All(c => types.SizeOf(c) == types.SizeOf(first) && paths.All(p => SamePlace(types.FindFieldOf(c, p), types.FindFieldOf(first, p)))))
        {
            return first;
        }

        throw new CompileException(
            Rule.KernelField,
            $"this kernel has {candidates.Count} different structs called {name}, and {(fitting.Count == 0 ? "none has" : $"{fitting.Count} have")} all fields of the view {view.Name}; "
            + "give the view fields that only the meant one has, or read through a pointer that the kernel types",
            position);
    }

    private static bool SamePlace(BtfField? a, BtfField? b) =>
        a is { } x && b is { } y && (x.Offset, x.Size, x.BitOffset, x.BitSize) == (y.Offset, y.Size, y.BitOffset, y.BitSize);
}

/// <summary>
/// A field of a view that has no plain address: the kernel lacks it, it is a bit field, or its width differs from the view's.
/// Stands as a frozen leaf on the evaluation stack until it is read, written or asked about.
/// </summary>
/// <param name="Field">The field of the view.</param>
/// <param name="Where">Where the kernel has it; null when it does not.</param>
/// <param name="Owner">Address of the struct.</param>
internal sealed record KernelPlace(FieldInfo Field, BtfField? Where, Ir.Node Owner);
