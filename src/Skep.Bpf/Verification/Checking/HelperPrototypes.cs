using Skep.Bpf.Programs;

namespace Skep.Bpf.Verification.Checking;

/// <summary>What a helper takes in an argument.</summary>
internal enum ArgumentKind
{
    /// <summary>Any value that is set.</summary>
    Any,
    /// <summary>The context.</summary>
    Context,
    /// <summary>A map.</summary>
    Map,
    /// <summary>A key of that map.</summary>
    Key,
    /// <summary>A value of that map.</summary>
    Value,
    /// <summary>Memory whose size is the next argument.</summary>
    Memory,
    /// <summary>Memory to be written, whose size is the next argument.</summary>
    Output,
    /// <summary>A size above 0.</summary>
    Size,
    /// <summary>A size.</summary>
    SizeOrZero,
    /// <summary>A size that is a constant.</summary>
    ConstantSize,
    /// <summary>A reserved record.</summary>
    Record,
}

/// <summary>What a helper gives.</summary>
internal enum ResultKind
{
    /// <summary>A number.</summary>
    Number,
    /// <summary>Something not followed.</summary>
    Opaque,
    /// <summary>A value of the map in R1, or null.</summary>
    MapValue,
    /// <summary>A record of the size in R2, or null, to be released.</summary>
    Record,
}

/// <summary>A helper as the checker knows it.</summary>
internal sealed record HelperPrototype(ResultKind Result, params ArgumentKind[] Arguments);

/// <summary>
/// Prototypes of the helpers that our programs use most (<c>struct bpf_func_proto</c> in the kernel); calls of others are not judged.
/// </summary>
internal static class HelperPrototypes
{
    private static readonly Dictionary<int, HelperPrototype> s_prototypes = new()
    {
        [1] = new(ResultKind.MapValue, ArgumentKind.Map, ArgumentKind.Key),
        [2] = new(ResultKind.Number, ArgumentKind.Map, ArgumentKind.Key, ArgumentKind.Value, ArgumentKind.Any),
        [3] = new(ResultKind.Number, ArgumentKind.Map, ArgumentKind.Key),
        [4] = new(ResultKind.Number, ArgumentKind.Output, ArgumentKind.SizeOrZero, ArgumentKind.Any),
        [5] = new(ResultKind.Number),
        [7] = new(ResultKind.Number),
        [8] = new(ResultKind.Opaque),
        [9] = new(ResultKind.Number, ArgumentKind.Context, ArgumentKind.Any, ArgumentKind.Memory, ArgumentKind.Size, ArgumentKind.Any),
        [10] = new(ResultKind.Number, ArgumentKind.Context, ArgumentKind.Any, ArgumentKind.Any, ArgumentKind.Any, ArgumentKind.Any),
        [11] = new(ResultKind.Number, ArgumentKind.Context, ArgumentKind.Any, ArgumentKind.Any, ArgumentKind.Any, ArgumentKind.Any),
        [14] = new(ResultKind.Number),
        [15] = new(ResultKind.Number),
        [16] = new(ResultKind.Number, ArgumentKind.Output, ArgumentKind.Size),
        [26] = new(ResultKind.Number, ArgumentKind.Context, ArgumentKind.Any, ArgumentKind.Output, ArgumentKind.Size),
        [39] = new(ResultKind.Number, ArgumentKind.Context, ArgumentKind.Any),
        [40] = new(ResultKind.Number, ArgumentKind.Context, ArgumentKind.Any),
        [44] = new(ResultKind.Number, ArgumentKind.Context, ArgumentKind.Any),
        [54] = new(ResultKind.Number, ArgumentKind.Context, ArgumentKind.Any),
        [65] = new(ResultKind.Number, ArgumentKind.Context, ArgumentKind.Any),
        [69] = new(ResultKind.Number, ArgumentKind.Context, ArgumentKind.Output, ArgumentKind.Size, ArgumentKind.Any),
        [112] = new(ResultKind.Number, ArgumentKind.Output, ArgumentKind.SizeOrZero, ArgumentKind.Any),
        [113] = new(ResultKind.Number, ArgumentKind.Output, ArgumentKind.SizeOrZero, ArgumentKind.Any),
        [125] = new(ResultKind.Number),
        [130] = new(ResultKind.Number, ArgumentKind.Map, ArgumentKind.Memory, ArgumentKind.SizeOrZero, ArgumentKind.Any),
        [131] = new(ResultKind.Record, ArgumentKind.Map, ArgumentKind.ConstantSize, ArgumentKind.Any),
        [132] = new(ResultKind.Number, ArgumentKind.Record, ArgumentKind.Any),
        [133] = new(ResultKind.Number, ArgumentKind.Record, ArgumentKind.Any),
        [160] = new(ResultKind.Number),
    };

    // bpf_helper_changes_pkt_data of net/core/filter.c
    private static readonly int[] s_movesPacket = [9, 10, 11, 12, 13, 18, 19, 31, 38, 39, 43, 44, 50, 54, 63, 65, 73, 74, 75, 76, 90, 91, 143, 144];

    private static readonly int[] s_packetOnly = [9, 10, 11, 13, 18, 19, 20, 21, 26, 31, 32, 38, 39, 43, 50];

    public static HelperPrototype? Find(int helper) => s_prototypes.GetValueOrDefault(helper);

    public static bool MovesPacket(int helper) => Array.IndexOf(s_movesPacket, helper) >= 0;

    /// <summary>False where it is certain that this type of program has no such helper.</summary>
    public static bool MayExist(int helper, ProgramType type) =>
        helper is > 0 and < 1024 && helper switch
        {
            44 or 54 or 65 => type is ProgramType.Xdp or ProgramType.Ext,
            _ => type != ProgramType.Xdp || Array.IndexOf(s_packetOnly, helper) < 0,
        };
}
