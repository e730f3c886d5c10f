namespace Skep.Bpf.Verification.Checking;

/// <summary>Eight bytes of a stack: one value, or two halves; null where nothing was written.</summary>
internal readonly record struct StackPlace(Value? Whole, Value? Low, Value? High)
{
    /// <summary>Reads bytes.</summary>
    public Value Read(int offset, int size)
    {
        if (size == 8)
        {
            return Whole ?? (Low is { Number.IsConst: true } l && High is { Number.IsConst: true } h ? Value.Const(l.Number.Value | (h.Number.Value << 32)) : Value.Opaque);
        }

        var (source, shift) = Whole is not null ? (Whole, 8 * offset) : (offset < 4 ? Low : High, 8 * (offset & 3));
        return source switch
        {
            null => Value.Opaque,
            { Kind: ValueKind.Number } when shift == 0 => Value.Of(source.Number.Truncated(size)),
            { Kind: ValueKind.Number, Number.IsConst: true } => Value.Of(Number.Const(source.Number.Value >> shift).Truncated(size)),
            { Kind: ValueKind.Opaque } => Value.Opaque,
            { Kind: ValueKind.Number } => Value.Opaque,
            _ => Value.Of(Number.OfSize(size)), // part of a pointer is a number of which nothing is known
        };
    }

    /// <summary>Writes bytes.</summary>
    public StackPlace Write(int offset, int size, Value value)
    {
        if (size == 8)
        {
            return new(value, null, null);
        }

        if (Whole is { IsPointer: true })
        {
            return new(Value.Of(Number.Unknown), null, null);
        }

        var (low, high) = Whole switch
        {
            null => (Low, High),
            { Kind: ValueKind.Number, Number: { IsConst: true } whole } => (Value.Const((uint)whole.Value), Value.Const(whole.Value >> 32)),
            _ => (Value.Opaque, Value.Opaque),
        };
        var half = size == 4 ? Cut(value) : Patch(offset < 4 ? low : high, offset & 3, size, value);
        return offset < 4 ? new(null, half, high) : new(null, low, half);
    }

    private static Value Cut(Value value) => value.Kind == ValueKind.Number ? Value.Of(value.Number.Truncated(4)) : Value.Opaque;

    private static Value Patch(Value? half, int offset, int size, Value value)
    {
        if (half is not { Kind: ValueKind.Number, Number: { IsConst: true } old } || value is not { Kind: ValueKind.Number, Number: { IsConst: true } added })
        {
            return Value.Opaque;
        }

        var mask = ((1UL << (8 * size)) - 1) << (8 * offset);
        return Value.Const((old.Value & ~mask) | ((added.Value << (8 * offset)) & mask));
    }
}
