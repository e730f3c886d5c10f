namespace Skep.Bpf.Compiler.Ir;

/// <summary>Type of an SSA value. An <see cref="I32"/> is kept zero-extended in its 64-bit register.</summary>
internal enum IrType : byte
{
    Void,
    I32,
    I64,
    Pointer,
}

/// <summary>Operations of the intermediate representation.</summary>
internal enum Op : byte
{
    // Leaves; they stand in no block.
    Constant,
    Context,

    /// <summary>Argument number Immediate, from 0, of a function that is called.</summary>
    Parameter,

    /// <summary>The address of the function in Payload, for helpers that call back.</summary>
    FunctionAddress,
    Map,
    MapValue,
    FrozenObject,
    FrozenStruct,
    Alloca,

    // Memory: operand 0 is the address, Immediate the displacement, Size the bytes.
    Load,
    Store,
    Atomic,

    // Arithmetic
    Add,
    Subtract,
    Multiply,
    DivideUnsigned,
    RemainderUnsigned,
    DivideSigned,
    RemainderSigned,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRightUnsigned,
    ShiftRightSigned,
    Negate,

    /// <summary>Reverses the low Immediate bits, the rest becomes zero.</summary>
    ByteSwap,

    /// <summary>32 to 64 bits.</summary>
    ZeroExtend,

    /// <summary>From the low Immediate bits to the width of the type.</summary>
    SignExtend,

    /// <summary>64 to 32 bits.</summary>
    Truncate,

    /// <summary>Operand 0, about which the verifier is to forget what it knows; operand 1 is any value it knows nothing about.</summary>
    Forget,

    /// <summary>1 when the condition holds between operands 0 and 1, else 0.</summary>
    Compare,

    Phi,

    /// <summary>Operand 0, an address of an arena as the process has it, as one that can be loaded from and stored to.</summary>
    ArenaCast,

    /// <summary>Call of a helper, Immediate being its number, or of a function of the program; the payload tells.</summary>
    Call,

    // Terminators
    Jump,

    /// <summary>To target 0 when the condition holds between operands 0 and 1, else to target 1.</summary>
    Branch,

    /// <summary>To target i when operand 0 equals i, else to the last target.</summary>
    Switch,
    /// <summary>To target 0, or, once the kernel finds that the function has looped for too long, to target 1.</summary>
    MayLoop,
    Return,

    /// <summary>Must have become unreachable when optimisation ends; else its message is the compile error.</summary>
    Trap,
}

/// <summary>Comparisons; width and signedness are part of it or of the operands' type.</summary>
internal enum Condition : byte
{
    Equal,
    NotEqual,
    LessUnsigned,
    LessOrEqualUnsigned,
    GreaterUnsigned,
    GreaterOrEqualUnsigned,
    LessSigned,
    LessOrEqualSigned,
    GreaterSigned,
    GreaterOrEqualSigned,
}

internal static class Conditions
{
    public static Condition Negate(this Condition condition) => condition switch
    {
        Condition.Equal => Condition.NotEqual,
        Condition.NotEqual => Condition.Equal,
        Condition.LessUnsigned => Condition.GreaterOrEqualUnsigned,
        Condition.LessOrEqualUnsigned => Condition.GreaterUnsigned,
        Condition.GreaterUnsigned => Condition.LessOrEqualUnsigned,
        Condition.GreaterOrEqualUnsigned => Condition.LessUnsigned,
        Condition.LessSigned => Condition.GreaterOrEqualSigned,
        Condition.LessOrEqualSigned => Condition.GreaterSigned,
        Condition.GreaterSigned => Condition.LessOrEqualSigned,
        _ => Condition.LessSigned,
    };

    /// <summary>The condition with its operands exchanged.</summary>
    public static Condition Swap(this Condition condition) => condition switch
    {
        Condition.LessUnsigned => Condition.GreaterUnsigned,
        Condition.LessOrEqualUnsigned => Condition.GreaterOrEqualUnsigned,
        Condition.GreaterUnsigned => Condition.LessUnsigned,
        Condition.GreaterOrEqualUnsigned => Condition.LessOrEqualUnsigned,
        Condition.LessSigned => Condition.GreaterSigned,
        Condition.LessOrEqualSigned => Condition.GreaterOrEqualSigned,
        Condition.GreaterSigned => Condition.LessSigned,
        Condition.GreaterOrEqualSigned => Condition.LessOrEqualSigned,
        _ => condition,
    };

    public static bool IsSigned(this Condition condition) => condition >= Condition.LessSigned;

    public static Condition ToUnsigned(this Condition condition) =>
        condition.IsSigned() ? condition - (Condition.LessSigned - Condition.LessUnsigned) : condition;

    public static bool Evaluate(this Condition condition, IrType type, long a, long b)
    {
        if (type == IrType.I32)
        {
            // Sign and zero extension of 32-bit operands order alike within their own signedness.
            (a, b) = condition.IsSigned() ? ((long)(int)a, (long)(int)b) : ((long)(uint)a, (long)(uint)b);
        }

        return condition switch
        {
            Condition.Equal => a == b,
            Condition.NotEqual => a != b,
            Condition.LessUnsigned => (ulong)a < (ulong)b,
            Condition.LessOrEqualUnsigned => (ulong)a <= (ulong)b,
            Condition.GreaterUnsigned => (ulong)a > (ulong)b,
            Condition.GreaterOrEqualUnsigned => (ulong)a >= (ulong)b,
            Condition.LessSigned => a < b,
            Condition.LessOrEqualSigned => a <= b,
            Condition.GreaterSigned => a > b,
            _ => a >= b,
        };
    }
}
