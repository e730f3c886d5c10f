using System.Globalization;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Verification.Checking;

/// <summary>What a register or a place on the stack may hold.</summary>
internal enum ValueKind
{
    /// <summary>Nothing was written.</summary>
    Unset,
    /// <summary>A number.</summary>
    Number,
    /// <summary>The context.</summary>
    Context,
    /// <summary>Somewhere in the packet.</summary>
    Packet,
    /// <summary>Somewhere in the packet's metadata.</summary>
    PacketMeta,
    /// <summary>The end of the packet.</summary>
    PacketEnd,
    /// <summary>A map.</summary>
    Map,
    /// <summary>Somewhere in a value of a map.</summary>
    MapValue,
    /// <summary>Somewhere in the stack of a function.</summary>
    Stack,
    /// <summary>Memory of a known size.</summary>
    Memory,
    /// <summary>Something this checker does not follow, and so does not judge.</summary>
    Opaque,
}

/// <summary>An abstract value. Pointers are base + <see cref="Offset"/> + <see cref="Number"/>.</summary>
internal sealed record Value(ValueKind Kind)
{
    public static Value Unset { get; } = new(ValueKind.Unset);

    public static Value Opaque { get; } = new(ValueKind.Opaque);

    /// <summary>A number, or the variable part of a pointer.</summary>
    public Number Number { get; init; } = Number.Const(0);

    public long Offset { get; init; }

    public BpfMap? Map { get; init; }

    /// <summary>Bytes of <see cref="ValueKind.Memory"/>.</summary>
    public long Size { get; init; }

    /// <summary>Which function's stack, 0 the main one's.</summary>
    public int Frame { get; init; }

    /// <summary>Values with the same number, not 0, are the same but for their offsets: what is learnt of one is learnt of all.</summary>
    public int Id { get; init; }

    /// <summary>A number is the one of its <see cref="Id"/> plus this.</summary>
    public ulong Delta { get; init; }

    /// <summary>Bytes from the base of a packet pointer that are known to exist.</summary>
    public long Range { get; init; }

    public bool MayBeNull { get; init; }

    /// <summary>Number of what was acquired and must be released; 0 for none.</summary>
    public int Reference { get; init; }

    public bool IsPointer => Kind is not (ValueKind.Unset or ValueKind.Number or ValueKind.Opaque);

    public bool IsPacket => Kind is ValueKind.Packet or ValueKind.PacketMeta;

    public static Value Of(Number number) => new(ValueKind.Number) { Number = number };

    public static Value Const(ulong value) => Of(Number.Const(value));

    /// <summary>In words, for messages.</summary>
    public string Describe()
    {
        var what = Kind switch
        {
            ValueKind.Unset => "not set",
            ValueKind.Number when Number.IsConst => string.Create(CultureInfo.InvariantCulture, $"the number {(long)Number.Value}"),
            ValueKind.Number when Number.Wide.UMax != ulong.MaxValue => string.Create(CultureInfo.InvariantCulture, $"a number from {Number.Wide.UMin} to {Number.Wide.UMax}"),
            ValueKind.Number when Number.Wide.SMin != long.MinValue || Number.Wide.SMax != long.MaxValue =>
                string.Create(CultureInfo.InvariantCulture, $"a signed number from {Number.Wide.SMin} to {Number.Wide.SMax}"),
            ValueKind.Number => "any number",
            ValueKind.Context => "the context",
            ValueKind.Packet => string.Create(CultureInfo.InvariantCulture, $"a pointer into the packet, of which {Range} bytes from its start are known to exist"),
            ValueKind.PacketMeta => "a pointer to the packet's metadata",
            ValueKind.PacketEnd => "the end of the packet",
            ValueKind.Map => $"map '{Map?.Name}'",
            ValueKind.MapValue => string.Create(CultureInfo.InvariantCulture, $"a pointer into a value of map '{Map?.Name}', which has {Map?.ValueSize} bytes"),
            ValueKind.Stack => "a pointer to the stack",
            ValueKind.Memory => string.Create(CultureInfo.InvariantCulture, $"a pointer to {Size} bytes of memory"),
            _ => "something",
        };
        var offset = IsPointer && Offset != 0 ? string.Create(CultureInfo.InvariantCulture, $", at offset {Offset}") : "";
        var variable = IsPointer && !Number.IsConst ? string.Create(CultureInfo.InvariantCulture, $" and {Number.Wide.SMin} to {Number.Wide.SMax} more") : "";
        return what + offset + variable + (MayBeNull ? ", or null" : "");
    }
}
