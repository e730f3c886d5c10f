using Skep.Bpf.Btf;

namespace Skep.Bpf.Elf;

/// <summary>
/// How types of an object and of the kernel compare (<c>relo_core.c</c> of libbpf): names without their flavour, modifiers looked through,
/// and never deeper than damaged input could lead.
/// </summary>
internal sealed class TypeComparison(BtfFile types, BtfFile kernel)
{
    private const int Deepest = 32;

    // A hostile object may fan out at every level; real types need some hundreds of steps.
    private const int MostSteps = 100_000;

    private int _steps;

    /// <summary>The name without what follows three underscores: authors tell versions of a type apart by it.</summary>
    internal static string EssentialName(string name) => name.LastIndexOf("___", StringComparison.Ordinal) is > 0 and var at ? name[..at] : name;

    /// <summary>Whether a field of one type may be read as the other: sizes and targets of pointers may differ, the kind may not.</summary>
    internal bool AreFieldsAlike(uint local, uint target)
    {
        for (var depth = 0; depth < Deepest; depth++)
        {
            var (a, b) = (types[types.SkipModifiers(local)], kernel[kernel.SkipModifiers(target)]);
            switch (a.Kind, b.Kind)
            {
                case (BtfKind.Struct or BtfKind.Union, BtfKind.Struct or BtfKind.Union):
                case (BtfKind.Pointer, BtfKind.Pointer):
                case (BtfKind.Float, BtfKind.Float):
                    return true;
                case (BtfKind.Int, BtfKind.Int):
                    return AreWholeIntegers(a.Id, b.Id);
                case (BtfKind.Enum or BtfKind.Enum64, BtfKind.Enum or BtfKind.Enum64):
                case (BtfKind.Forward, BtfKind.Forward):
                    return a.Name.Length == 0 || b.Name.Length == 0 || EssentialName(a.Name) == EssentialName(b.Name);
                case (BtfKind.Array, BtfKind.Array):
                    (local, target) = (types.ArrayShape(a.Id).Element, kernel.ArrayShape(b.Id).Element);
                    break;
                default:
                    return false;
            }
        }

        return false;
    }

    /// <summary>Whether types of the same name are of the same kind, functions with parameters of the same kinds; members do not count.</summary>
    internal bool AreCompatible(uint local, uint target) => AreCompatible(local, target, Deepest);

    /// <summary>Whether every member, enumerator or parameter of the object's type is in the kernel's, with a type that matches too.</summary>
    internal bool Match(uint local, uint target) => Match(local, target, false, Deepest);

    private bool AreCompatible(uint local, uint target, int depth)
    {
        for (; depth > 0 && _steps++ < MostSteps; depth--)
        {
            var (a, b) = (types[types.SkipModifiers(local)], kernel[kernel.SkipModifiers(target)]);
            if (!AreSameKind(a.Kind, b.Kind))
            {
                return false;
            }

            switch (a.Kind)
            {
                case BtfKind.Unknown or BtfKind.Struct or BtfKind.Union or BtfKind.Enum or BtfKind.Enum64 or BtfKind.Forward:
                    return true;
                case BtfKind.Int:
                    return AreWholeIntegers(a.Id, b.Id);
                case BtfKind.Pointer:
                    (local, target) = (a.SizeOrType, b.SizeOrType);
                    break;
                case BtfKind.Array:
                    (local, target) = (types.ArrayShape(a.Id).Element, kernel.ArrayShape(b.Id).Element);
                    break;
                case BtfKind.FunctionPrototype:
                    var (parameters, others) = (types.Parameters(a.Id), kernel.Parameters(b.Id));
                    var inner = depth - 1;
                    if (parameters.Length != others.Length || parameters.Where((p, i) => !AreCompatible(p.Type, others[i].Type, inner)).Any())
                    {
                        return false;
                    }

                    (local, target) = (a.SizeOrType, b.SizeOrType);
                    break;
                default:
                    return false;
            }
        }

        return false;
    }

    private bool Match(uint local, uint target, bool behindPointer, int depth)
    {
        for (; depth > 0 && _steps++ < MostSteps; depth--)
        {
            var (a, b) = (types[types.SkipModifiers(local)], kernel[kernel.SkipModifiers(target)]);
            if (!AreNamesAlike(a.Name, b.Name))
            {
                return false;
            }

            switch (a.Kind)
            {
                case BtfKind.Unknown:
                    return b.Kind == BtfKind.Unknown;
                case BtfKind.Forward:
                    return b.Kind == BtfKind.Forward ? a.KindFlag == b.KindFlag
                        : behindPointer && b.Kind == (a.KindFlag ? BtfKind.Union : BtfKind.Struct);
                case BtfKind.Enum or BtfKind.Enum64:
                    return b.Kind is BtfKind.Enum or BtfKind.Enum64 && AreEnumeratorsIn(a, b);
                case BtfKind.Struct or BtfKind.Union when behindPointer:
                    return a.Kind == b.Kind || (b.Kind == BtfKind.Forward && (a.Kind == BtfKind.Union) == b.KindFlag);
                case BtfKind.Struct or BtfKind.Union:
                    return a.Kind == b.Kind && AreMembersIn(a.Id, b.Id, depth - 1);
                case BtfKind.Int:
                    return b.Kind == BtfKind.Int && a.SizeOrType == b.SizeOrType && types.Integer(a.Id).Signed == kernel.Integer(b.Id).Signed;
                case BtfKind.Pointer when b.Kind == BtfKind.Pointer:
                    (local, target, behindPointer) = (a.SizeOrType, b.SizeOrType, true);
                    break;
                case BtfKind.Array when b.Kind == BtfKind.Array && types.ArrayShape(a.Id).Count == kernel.ArrayShape(b.Id).Count:
                    (local, target) = (types.ArrayShape(a.Id).Element, kernel.ArrayShape(b.Id).Element);
                    break;
                case BtfKind.FunctionPrototype when b.Kind == BtfKind.FunctionPrototype:
                    var (parameters, others) = (types.Parameters(a.Id), kernel.Parameters(b.Id));
                    var (inner, pointer) = (depth - 1, behindPointer);
                    if (parameters.Length != others.Length || parameters.Where((p, i) => !Match(p.Type, others[i].Type, pointer, inner)).Any())
                    {
                        return false;
                    }

                    (local, target) = (a.SizeOrType, b.SizeOrType);
                    break;
                default:
                    return false;
            }
        }

        return false;
    }

    private bool AreMembersIn(uint local, uint target, int depth)
    {
        var (members, others) = (types.Members(local), kernel.Members(target));
        return members.Count <= others.Count
            && members.All(m => others.Any(o => AreNamesAlike(m.Name, o.Name) && Match(m.Type, o.Type, false, depth)));
    }

    private bool AreEnumeratorsIn(BtfType local, BtfType target)
    {
        if (local.SizeOrType != target.SizeOrType || local.Count > target.Count)
        {
            return false;
        }

        var names = Enumerable.Range(0, target.Count).Select(i => EssentialName(kernel.Enumerator(target.Id, i).Name)).ToHashSet();
        return Enumerable.Range(0, local.Count).All(i => names.Contains(EssentialName(types.Enumerator(local.Id, i).Name)));
    }

    /// <summary>An integer at a bit offset is how old compilers wrote bit fields.</summary>
    private bool AreWholeIntegers(uint local, uint target) => types.Integer(local).Shift == 0 && kernel.Integer(target).Shift == 0;

    private static bool AreNamesAlike(string local, string target) =>
        target.Length == 0 ? local.Length == 0 : EssentialName(local) == EssentialName(target);

    private static bool AreSameKind(BtfKind a, BtfKind b) =>
        a == b || (a is BtfKind.Enum or BtfKind.Enum64 && b is BtfKind.Enum or BtfKind.Enum64);
}
