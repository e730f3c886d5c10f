using System.Globalization;
using Skep.Bpf.Asm;
using Skep.Bpf.Btf;

namespace Skep.Bpf.Elf;

/// <summary>
/// Puts what the running kernel's types say into instructions that were compiled against other types (CO-RE, <c>relo_core.c</c> of libbpf).
/// What the kernel does not have poisons the instruction: the verifier refuses it unless it is dead code.
/// </summary>
internal sealed class FieldRelocator(BtfFile types, BtfFile? kernel)
{
    private const int PoisonCall = 195896080; // 0xbad2310, as libbpf: people know it from verifier logs

    private readonly Dictionary<(uint, string, FieldQuestion), Answer> _answers = [];

    /// <summary>A call of a helper that does not exist.</summary>
    internal static Instruction Poison { get; } = new(OpCodes.CallInstruction, 0, 0, 0, PoisonCall);

    internal static bool IsPoison(Instruction instruction) => instruction == Poison;

    internal void Apply(Instruction[] code, FieldRelocation relocation, ElfSection section)
    {
        if ((uint)relocation.Slot >= (uint)code.Length)
        {
            throw new ElfFormatException($"A relocation against the kernel's types lies outside '{section.Name}'", section.Offset);
        }

        var key = (relocation.Type, relocation.Access, relocation.Kind);
        if (!_answers.TryGetValue(key, out var answer))
        {
            _answers[key] = answer = Ask(relocation);
        }

        var instruction = code[relocation.Slot];
        var wide = instruction.IsWideLoad && relocation.Slot + 1 < code.Length;
        if (answer.Value is not { } value || Patch(instruction, value, answer) is not { } patched)
        {
            code[relocation.Slot] = Poison;
            if (wide)
            {
                code[relocation.Slot + 1] = Poison;
            }

            return;
        }

        code[relocation.Slot] = patched;
        if (wide)
        {
            code[relocation.Slot + 1] = code[relocation.Slot + 1] with { Immediate = (int)(value >> 32) };
        }
    }

    private static Instruction? Patch(Instruction instruction, long value, Answer answer)
    {
        switch (instruction.Class)
        {
            case OpCodes.ClassAlu or OpCodes.ClassAlu64 when (instruction.Code & OpCodes.SourceRegister) == 0:
                return value is >= int.MinValue and <= uint.MaxValue ? instruction with { Immediate = unchecked((int)value) } : null;
            case OpCodes.ClassLdx or OpCodes.ClassSt or OpCodes.ClassStx when value is >= 0 and <= short.MaxValue:
                var access = instruction with { Offset = (short)value };
                if (answer.LocalSize == answer.TargetSize)
                {
                    return access;
                }

                // A field that grew or shrank is read at its new size; only where that keeps the value: pointers and unsigned integers.
                byte? size = answer.CanResize ? answer.TargetSize switch
                {
                    1 => OpCodes.SizeB,
                    2 => OpCodes.SizeH,
                    4 => OpCodes.SizeW,
                    8 => OpCodes.SizeDw,
                    _ => null,
                } : null;
                return size is { } s ? access with { Code = (byte)((instruction.Code & ~0x18) | s) } : null;
            case OpCodes.ClassLd when instruction.IsWideLoad:
                return instruction with { Immediate = unchecked((int)value) };
            default:
                return null;
        }
    }

    private Answer Ask(FieldRelocation relocation)
    {
        var path = ParseAccess(relocation.Access);
        switch (relocation.Kind)
        {
            case FieldQuestion.LocalTypeId:
                return new Answer(relocation.Type);
            case FieldQuestion.TargetTypeId or FieldQuestion.TypeExists or FieldQuestion.TypeSize or FieldQuestion.TypeMatches:
                return AskType(relocation);
            case FieldQuestion.EnumeratorExists or FieldQuestion.EnumeratorValue:
                return AskEnumerator(relocation, path);
            case <= FieldQuestion.RightShift:
                break;
            default:
                return default;
        }

        var local = FieldPath.Follow(types, relocation.Type, path);
        if (kernel is null)
        {
            return relocation.Kind == FieldQuestion.Exists ? new Answer(0) : default;
        }

        foreach (var candidate in Candidates(relocation.Type))
        {
            if (FieldPath.Match(types, local, kernel, candidate) is { } target)
            {
                return AnswerField(relocation.Kind, local, target);
            }
        }

        return relocation.Kind == FieldQuestion.Exists ? new Answer(0) : default;
    }

    private Answer AnswerField(FieldQuestion kind, FieldPath local, FieldPath target)
    {
        var place = target.Place();
        return kind switch
        {
            FieldQuestion.Exists => new Answer(1),
            FieldQuestion.Signed => new Answer(target.IsSigned ? 1 : 0),
            _ when place is not { } p => default,
            FieldQuestion.ByteOffset => new Answer(place.Value.Offset, local.Place()?.Size ?? 0, place.Value.Size, local.IsWidenable && target.IsWidenable),
            FieldQuestion.ByteSize => new Answer(place.Value.Size),
            FieldQuestion.LeftShift => new Answer(64 - (target.BitOffset + place.Value.Bits - (place.Value.Offset * 8L))),
            FieldQuestion.RightShift => new Answer(64 - place.Value.Bits),
            _ => default,
        };
    }

    private Answer AskType(FieldRelocation relocation)
    {
        var found = kernel is null ? [] : Candidates(relocation.Type);
        if (found.Count == 0)
        {
            return relocation.Kind is FieldQuestion.TypeExists or FieldQuestion.TypeMatches ? new Answer(0) : default;
        }

        return relocation.Kind switch
        {
            FieldQuestion.TargetTypeId => new Answer(found[0]),
            FieldQuestion.TypeSize => new Answer(kernel!.SizeOf(found[0])),
            _ => new Answer(1),
        };
    }

    private Answer AskEnumerator(FieldRelocation relocation, int[] path)
    {
        var name = EssentialName(types.Enumerator(types.SkipModifiers(relocation.Type), path[0]).Name);
        foreach (var candidate in kernel is null ? [] : Candidates(types.SkipModifiers(relocation.Type)))
        {
            for (var i = 0; i < kernel![candidate].Count; i++)
            {
                if (kernel.Enumerator(candidate, i) is var enumerator && EssentialName(enumerator.Name) == name)
                {
                    return new Answer(relocation.Kind == FieldQuestion.EnumeratorExists ? 1 : enumerator.Value);
                }
            }
        }

        return relocation.Kind == FieldQuestion.EnumeratorExists ? new Answer(0) : default;
    }

    /// <summary>Types of the kernel that have the name and kind of a type of the object; what follows three underscores is a flavour.</summary>
    private List<uint> Candidates(uint id)
    {
        var type = types[id];
        return type.Name.Length == 0 ? [] : type.Kind is BtfKind.Enum or BtfKind.Enum64
            ? kernel!.FindAll(EssentialName(type.Name), BtfKind.Enum, BtfKind.Enum64)
            : kernel!.FindAll(EssentialName(type.Name), type.Kind);
    }

    private static string EssentialName(string name) => name.LastIndexOf("___", StringComparison.Ordinal) is > 0 and var at ? name[..at] : name;

    private static int[] ParseAccess(string access)
    {
        var parts = access.Split(':');
        var path = new int[parts.Length];
        for (var i = 0; i < parts.Length; i++)
        {
            if (parts.Length > 64 || !int.TryParse(parts[i], NumberStyles.None, CultureInfo.InvariantCulture, out path[i]))
            {
                throw new InvalidDataException($"'{access}' is no path to a field.");
            }
        }

        return path;
    }

    /// <summary>What the kernel says; no value when it has no such thing.</summary>
    private readonly record struct Answer(long? Value, int LocalSize = 0, int TargetSize = 0, bool CanResize = false);
}
