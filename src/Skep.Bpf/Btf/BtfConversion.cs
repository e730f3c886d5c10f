using System.Globalization;

namespace Skep.Bpf.Btf;

/// <summary>
/// Brings values of one type into another that grew out of it, as an older version of a program wrote them: members by their names, integers to their new
/// width, names of enumerations to their new numbers. Members that the old type lacks are zero, those that the new one lacks are left out.
/// </summary>
public sealed class BtfConversion
{
    private const int DeepestNesting = 32, MostSteps = 1 << 16;

    private readonly List<Step> _steps = [];
    private readonly List<string> _added = [];
    private readonly List<string> _removed = [];
    private readonly BtfFile _from;
    private readonly BtfFile _to;

    private BtfConversion(BtfFile from, BtfFile to) => (_from, _to) = (from, to);

    /// <summary>Bytes of the old type.</summary>
    public int FromSize { get; private init; }

    /// <summary>Bytes of the new type.</summary>
    public int ToSize { get; private init; }

    /// <summary>Paths of members that only the new type has, or that changed beyond conversion: they are zero.</summary>
    public IReadOnlyList<string> Added => _added;

    /// <summary>Paths of members that only the old type has, or that changed beyond conversion: they are lost.</summary>
    public IReadOnlyList<string> Removed => _removed;

    /// <summary>Whether both types are one: bytes are copied as they are.</summary>
    public bool IsIdentity => FromSize == ToSize && _added.Count == 0 && _removed.Count == 0 && _steps.TrueForAll(s => s.IsCopy && s.From == s.To);

    /// <summary>Whether any bytes of the old type reach the new one.</summary>
    public bool CarriesAnything => _steps.Count > 0;

    /// <summary>How values of one type become values of the other.</summary>
    /// <exception cref="InvalidDataException">A type is damaged, contains itself, or has more than 65,536 parts.</exception>
    public static BtfConversion Between(BtfFile from, uint fromType, BtfFile to, uint toType)
    {
        ArgumentNullException.ThrowIfNull(from);
        ArgumentNullException.ThrowIfNull(to);
        var conversion = new BtfConversion(from, to) { FromSize = from.SizeOf(fromType), ToSize = to.SizeOf(toType) };
        conversion.Add(fromType, 0, toType, 0, "", 0);
        return conversion;
    }

    /// <summary>Converts a value; false when a number does not fit, or when the new enumeration has no such name.</summary>
    /// <exception cref="ArgumentException">A span is shorter than its type.</exception>
    public bool TryConvert(ReadOnlySpan<byte> from, Span<byte> to)
    {
        if (from.Length < FromSize || to.Length < ToSize)
        {
            throw new ArgumentException($"The types have {FromSize} and {ToSize} bytes, the spans {from.Length} and {to.Length}.");
        }

        to.Clear();
        foreach (var step in _steps)
        {
            if (step.IsCopy)
            {
                from.Slice(step.From, step.Length).CopyTo(to[step.To..]);
            }
            else if (!step.TryWrite(from, to))
            {
                return false;
            }
        }

        return true;
    }

    private void Add(uint from, int fromOffset, uint to, int toOffset, string path, int depth)
    {
        (from, to) = (_from.SkipModifiers(from), _to.SkipModifiers(to));
        var (old, fresh) = (_from[from], _to[to]);
        if (depth > DeepestNesting || _steps.Count > MostSteps)
        {
            throw new InvalidDataException($"The types '{old.Name}' and '{fresh.Name}' are nested too deeply or too large to be converted.");
        }

        if (IsNumber(old.Kind) && IsNumber(fresh.Kind))
        {
            AddNumber(old, fromOffset, fresh, toOffset);
        }
        else if (old.Kind != fresh.Kind)
        {
            Lose(path);
        }
        else if (old.Kind is BtfKind.Struct or BtfKind.Union)
        {
            AddMembers(from, fromOffset, to, toOffset, path, depth);
        }
        else if (old.Kind == BtfKind.Array)
        {
            AddElements(from, fromOffset, to, toOffset, path, depth);
        }
        else if (old.Kind is BtfKind.Pointer or BtfKind.Float && _from.SizeOf(from) == _to.SizeOf(to))
        {
            Copy(fromOffset, toOffset, _from.SizeOf(from));
        }
        else
        {
            Lose(path);
        }
    }

    private void AddMembers(uint from, int fromOffset, uint to, int toOffset, string path, int depth)
    {
        var (old, fresh) = (_from.Members(from), _to.Members(to));
        foreach (var member in fresh)
        {
            var before = old.Where(m => m.Name == member.Name && m.BitSize == 0 && member.BitSize == 0).Cast<BtfMember?>().FirstOrDefault();
            if (before is { } known)
            {
                Add(known.Type, fromOffset + (known.BitOffset / 8), member.Type, toOffset + (member.BitOffset / 8), Join(path, member.Name), depth + 1);
            }
            else
            {
                _added.Add(Join(path, member.Name));
            }
        }

        _removed.AddRange(old.Where(m => m.BitSize != 0 || fresh.All(f => f.Name != m.Name || f.BitSize != 0)).Select(m => Join(path, m.Name)));
    }

    private void AddElements(uint from, int fromOffset, uint to, int toOffset, string path, int depth)
    {
        var ((oldElement, oldCount), (element, count)) = (_from.ArrayShape(from), _to.ArrayShape(to));
        var (oldSize, size) = (_from.SizeOf(oldElement), _to.SizeOf(element));
        var shared = (int)Math.Min(oldCount, count);
        var steps = _steps.Count;
        for (var i = 0; i < shared; i++)
        {
            var (added, removed) = (_added.Count, _removed.Count);
            Add(oldElement, fromOffset + (i * oldSize), element, toOffset + (i * size), path + "[]", depth + 1);
            if (i > 0)
            {
                // Said once for all elements.
                _added.RemoveRange(added, _added.Count - added);
                _removed.RemoveRange(removed, _removed.Count - removed);
            }

            if (i == 0 && _steps.Count == steps + 1 && _steps[^1] is { IsCopy: true } whole && whole.Length == size && size == oldSize)
            {
                _steps[^1] = whole with { Length = checked(shared * size) };
                break;
            }
        }

        if (count > oldCount)
        {
            _added.Add(string.Create(CultureInfo.InvariantCulture, $"{path}[{oldCount}..]"));
        }
        else if (oldCount > count)
        {
            _removed.Add(string.Create(CultureInfo.InvariantCulture, $"{path}[{count}..]"));
        }
    }

    private void AddNumber(BtfType old, int fromOffset, BtfType fresh, int toOffset)
    {
        var names = NamesOf(old, fresh);
        var (oldSize, size) = ((int)old.SizeOrType, (int)fresh.SizeOrType);
        var (oldSigned, signed) = (IsSigned(_from, old), IsSigned(_to, fresh));
        if (oldSize == size && oldSigned == signed && names is null)
        {
            Copy(fromOffset, toOffset, size);
        }
        else
        {
            _steps.Add(new Step(fromOffset, toOffset, size) { OldLength = oldSize, OldSigned = oldSigned, Signed = signed, Names = names });
        }
    }

    // Old numbers to new ones by name; null when no name has another number and none is gone.
    private Dictionary<long, long?>? NamesOf(BtfType old, BtfType fresh)
    {
        if (old.Kind is not (BtfKind.Enum or BtfKind.Enum64) || fresh.Kind is not (BtfKind.Enum or BtfKind.Enum64))
        {
            return null;
        }

        var now = new Dictionary<string, long>(StringComparer.Ordinal);
        for (var i = 0; i < fresh.Count; i++)
        {
            var enumerator = _to.Enumerator(fresh.Id, i);
            now.TryAdd(enumerator.Name, enumerator.Value);
        }

        var moved = new Dictionary<long, long?>();
        for (var i = 0; i < old.Count; i++)
        {
            var enumerator = _from.Enumerator(old.Id, i);
            moved[enumerator.Value] = now.TryGetValue(enumerator.Name, out var value) ? value : moved.GetValueOrDefault(enumerator.Value);
        }

        return moved.All(m => m.Key == m.Value) ? null : moved;
    }

    private static bool IsNumber(BtfKind kind) => kind is BtfKind.Int or BtfKind.Enum or BtfKind.Enum64;

    private static bool IsSigned(BtfFile types, BtfType type) => type.Kind == BtfKind.Int ? types.Integer(type.Id).Signed : type.KindFlag;

    private static string Join(string path, string name) => path.Length == 0 ? name : $"{path}.{name}";

    private void Lose(string path)
    {
        _added.Add(path.Length == 0 ? "the whole value" : path);
        _removed.Add(path.Length == 0 ? "the whole value" : path);
    }

    private void Copy(int from, int to, int length)
    {
        // Neighbours that stay neighbours are copied at once.
        if (_steps.Count > 0 && _steps[^1] is { IsCopy: true } last && last.From + last.Length == from && last.To + last.Length == to)
        {
            _steps[^1] = last with { Length = last.Length + length };
        }
        else
        {
            _steps.Add(new Step(from, to, length));
        }
    }

    /// <summary>Bytes that are copied or, with <see cref="OldLength"/> not 0, a number that changes its width or its values.</summary>
    private readonly record struct Step(int From, int To, int Length)
    {
        public int OldLength { get; init; }

        public bool OldSigned { get; init; }

        public bool Signed { get; init; }

        public Dictionary<long, long?>? Names { get; init; }

        public bool IsCopy => OldLength == 0;

        public bool TryWrite(ReadOnlySpan<byte> from, Span<byte> to)
        {
            var value = Read(from.Slice(From, OldLength), OldSigned);
            if (Names is { } names && TryRename(names, (long)value, out var renamed))
            {
                value = renamed;
            }
            else if (Names is not null)
            {
                return false;
            }

            var bits = Length * 8;
            var (least, most) = Signed ? (-(Int128.One << (bits - 1)), (Int128.One << (bits - 1)) - 1) : (0, (Int128.One << Math.Min(bits, 126)) - 1);
            if (value < least || value > most)
            {
                return false;
            }

            Span<byte> bytes = stackalloc byte[16];
            System.Buffers.Binary.BinaryPrimitives.WriteInt128LittleEndian(bytes, value);
            bytes[..Length].CopyTo(to[To..]);
            return true;
        }

        private static Int128 Read(ReadOnlySpan<byte> bytes, bool signed)
        {
            Span<byte> wide = stackalloc byte[16];
            wide.Fill(signed && (bytes[^1] & 0x80) != 0 ? byte.MaxValue : (byte)0);
            bytes.CopyTo(wide);
            return System.Buffers.Binary.BinaryPrimitives.ReadInt128LittleEndian(wide);
        }

        // A number without a name is made of flags: each goes where its name is now.
        private static bool TryRename(Dictionary<long, long?> names, long value, out Int128 renamed)
        {
            renamed = 0;
            if (names.TryGetValue(value, out var known))
            {
                renamed = known ?? 0;
                return known is not null;
            }

            long result = 0, rest = value;
            foreach (var (flag, now) in names)
            {
                if (System.Numerics.BitOperations.IsPow2(flag) && (rest & flag) != 0)
                {
                    if (now is not { } place)
                    {
                        return false;
                    }

                    result |= place;
                    rest &= ~flag;
                }
            }

            renamed = result;
            return rest == 0;
        }
    }
}
