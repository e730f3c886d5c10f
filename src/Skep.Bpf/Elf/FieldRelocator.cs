using System.Globalization;
using Skep.Bpf.Asm;
using Skep.Bpf.Btf;

namespace Skep.Bpf.Elf;

/// <summary>
/// Puts what the running kernel's types say into instructions that were compiled against other types (CO-RE, <c>relo_core.c</c> of libbpf).
/// What the kernel does not have poisons the instruction: the verifier refuses it unless it is dead code.
/// </summary>
internal sealed class FieldRelocator(BtfFile types, KernelTypes? kernel)
{
    private const int PoisonCall = 195896080; // 0xbad2310, as libbpf: people know it from verifier logs

    private readonly Dictionary<(uint, string, FieldQuestion), Answer> _answers = [];
    private readonly Dictionary<uint, IReadOnlyList<KernelTypeId>> _candidates = [];

    /// <summary>A call of a helper that does not exist.</summary>
    internal static Instruction Poison { get; } = new(OpCodes.CallInstruction, 0, 0, 0, PoisonCall);

    internal static bool IsPoison(Instruction instruction) => instruction == Poison;

    /// <summary>Patches an instruction, and says what is wrong with it when the kernel lacks what it asks for.</summary>
    internal Flaw? Apply(Instruction[] code, FieldRelocation relocation, ElfSection section)
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
        if (answer.Value is { } value && Patch(instruction, value, answer) is { } patched)
        {
            code[relocation.Slot] = patched;
            if (wide)
            {
                code[relocation.Slot + 1] = code[relocation.Slot + 1] with { Immediate = (int)(value >> 32) };
            }

            return null;
        }

        code[relocation.Slot] = Poison;
        if (wide)
        {
            code[relocation.Slot + 1] = Poison;
        }

        return new Flaw(
            answer.Why ?? $"the kernel's {Describe(relocation)} does not fit the instruction: it has another size and is no pointer or unsigned integer",
            answer.IsAmbiguous);
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
        if (relocation.Kind == FieldQuestion.LocalTypeId)
        {
            return new Answer(relocation.Type);
        }

        if (relocation.Kind > FieldQuestion.TypeMatches)
        {
            return Answer.Missing($"relocation kind {(uint)relocation.Kind}, which this loader does not know");
        }

        // A field is asked for by its path, once that is known to lead somewhere in the object's own types.
        var local = relocation.Kind <= FieldQuestion.RightShift ? FieldPath.Follow(types, relocation.Type, path) : null;
        Answer? answer = null;
        var (bits, matching) = (0L, new List<KernelTypeId>());
        foreach (var candidate in Candidates(relocation.Type))
        {
            var target = local is null ? null : FieldPath.Match(types, local, candidate.Types, candidate.Id);
            if ((local is null ? AskType(relocation, path, candidate) : target is null ? null : AnswerField(relocation.Kind, local, target)) is not { } found)
            {
                continue;
            }

            if (answer is { } earlier && (earlier != found || (target?.BitOffset ?? 0) != bits))
            {
                return new Answer(null, IsAmbiguous: true, Why: $"the kernel has several types '{candidate.Types[candidate.Id].Name}' that give different answers for {Describe(relocation)}");
            }

            (answer, bits) = (found, target?.BitOffset ?? 0);
            matching.Add(candidate);
        }

        if (answer is { } one)
        {
            // What does not fit one question about a type is no candidate for the next one: answers must not be mixed from several.
            _candidates[relocation.Type] = matching;
            return one;
        }

        // A type that is missing has number and size 0, for authors to compare with.
        return relocation.Kind is FieldQuestion.Exists or FieldQuestion.EnumeratorExists or (>= FieldQuestion.TargetTypeId and <= FieldQuestion.TypeSize)
            or FieldQuestion.TypeMatches ? new Answer(0) : Answer.Missing($"the kernel has no {Describe(relocation)}");
    }

    private static Answer AnswerField(FieldQuestion kind, FieldPath local, FieldPath target)
    {
        switch (kind)
        {
            case FieldQuestion.Exists:
                return new Answer(1);
            case FieldQuestion.Signed:
                return new Answer(target.IsSigned ? 1 : 0);
        }

        if (target.Place() is not { } place)
        {
            return Answer.Missing("a bit field of the kernel that no word of 8 bytes holds");
        }

        return kind switch
        {
            FieldQuestion.ByteOffset when local.IsBitField || target.IsBitField => new Answer(place.Offset),
            FieldQuestion.ByteOffset => new Answer(place.Offset, local.Place()?.Size ?? 0, place.Size, local.IsWidenable && target.IsWidenable),
            FieldQuestion.ByteSize => new Answer(place.Size),
            FieldQuestion.LeftShift => new Answer(64 - (target.BitOffset + place.Bits - (place.Offset * 8L))),
            _ => new Answer(64 - place.Bits),
        };
    }

    /// <summary>What a candidate says to a question about a type or an enumerator; null when it is none.</summary>
    private Answer? AskType(FieldRelocation relocation, int[] path, KernelTypeId candidate)
    {
        var comparison = new TypeComparison(types, candidate.Types);
        switch (relocation.Kind)
        {
            case FieldQuestion.EnumeratorExists or FieldQuestion.EnumeratorValue:
                var name = TypeComparison.EssentialName(types.Enumerator(types.SkipModifiers(relocation.Type), path[0]).Name);
                var id = candidate.Types.SkipModifiers(candidate.Id);
                for (var i = 0; candidate.Types[id].Kind is BtfKind.Enum or BtfKind.Enum64 && i < candidate.Types[id].Count; i++)
                {
                    if (candidate.Types.Enumerator(id, i) is var enumerator && TypeComparison.EssentialName(enumerator.Name) == name)
                    {
                        return new Answer(relocation.Kind == FieldQuestion.EnumeratorExists ? 1 : enumerator.Value);
                    }
                }

                return null;
            case FieldQuestion.TypeMatches:
                return comparison.Match(relocation.Type, candidate.Id) ? new Answer(1) : null;
            default:
                return !comparison.AreCompatible(relocation.Type, candidate.Id) ? null : relocation.Kind switch
                {
                    FieldQuestion.TargetTypeId => new Answer(candidate.Id),
                    FieldQuestion.TypeSize => new Answer(candidate.Types.SizeOf(candidate.Id)),
                    _ => new Answer(1),
                };
        }
    }

    /// <summary>Types of the kernel, or where it has none of its modules, that have the name and kind of a type of the object.</summary>
    private IReadOnlyList<KernelTypeId> Candidates(uint id)
    {
        if (kernel is null)
        {
            return [];
        }

        if (!_candidates.TryGetValue(id, out var candidates))
        {
            var type = types[id];
            ReadOnlySpan<BtfKind> kinds = type.Kind is BtfKind.Enum or BtfKind.Enum64 ? [BtfKind.Enum, BtfKind.Enum64] : [type.Kind];
            _candidates[id] = candidates = type.Name.Length == 0 ? [] : kernel.FindAll(TypeComparison.EssentialName(type.Name), kinds);
        }

        return candidates;
    }

    private string Describe(FieldRelocation relocation)
    {
        var type = types[relocation.Type];
        var name = $"{type.Kind.ToString().ToLowerInvariant()} {TypeComparison.EssentialName(type.Name)}";
        try
        {
            return relocation.Kind switch
            {
                <= FieldQuestion.RightShift => $"field '{FieldPath.Follow(types, relocation.Type, ParseAccess(relocation.Access)).Name}' in {name}",
                FieldQuestion.EnumeratorExists or FieldQuestion.EnumeratorValue =>
                    $"'{types.Enumerator(types.SkipModifiers(relocation.Type), ParseAccess(relocation.Access)[0]).Name}' in {name}",
                _ => name,
            };
        }
        catch (InvalidDataException)
        {
            return name;
        }
    }

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

    /// <summary>What is wrong with an instruction: the kernel lacks something, which is no harm in dead code, or is ambiguous, which always is.</summary>
    internal readonly record struct Flaw(string Why, bool IsFatal);

    /// <summary>What the kernel says; no value when it has no such thing.</summary>
    private readonly record struct Answer(
        long? Value, int LocalSize = 0, int TargetSize = 0, bool CanResize = false, bool IsAmbiguous = false, string? Why = null)
    {
        internal static Answer Missing(string why) => new(null, Why: why);
    }
}
