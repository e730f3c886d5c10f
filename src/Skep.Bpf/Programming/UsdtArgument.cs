using System.Globalization;
using System.Text.RegularExpressions;

namespace Skep.Bpf.Programming;

/// <summary>An argument of a USDT probe: a register, a constant, or memory of the process. A frozen object, so that reading it is one load or nothing.</summary>
public abstract partial class UsdtArgument
{
    // Words of struct pt_regs of x86-64, in its order.
    private static readonly string[] s_registers =
    [
        "r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di", "orig_ax", "ip", "cs", "flags", "sp",
    ];

    private protected UsdtArgument(int size, bool isSigned) => (Size, IsSigned) = (size, isSigned);

    /// <summary>Bytes of the argument: 1, 2, 4 or 8.</summary>
    public int Size { get; }

    /// <summary>Whether it is a signed number.</summary>
    public bool IsSigned { get; }

    /// <summary>Where it is: a constant, a register, or memory at a register with an offset; the register is a word of <c>struct pt_regs</c>.</summary>
    internal abstract (UsdtPlace Kind, long Value, uint Word) Place { get; }

    /// <summary>Reads it; 0 when memory cannot be read.</summary>
    public abstract long Read(ref RegistersContext context);

    /// <summary>Reads the notation of the assembler: <c>SIZE@%register</c>, <c>SIZE@$number</c>, <c>SIZE@offset(%register)</c>; a negative size means signed.</summary>
    /// <exception cref="NotSupportedException">Something else: an index register, an address relative to the instruction, a floating-point register.</exception>
    public static UsdtArgument Parse(string notation)
    {
        ArgumentNullException.ThrowIfNull(notation);
        if (Notation().Match(notation) is { Success: true } match)
        {
            var size = int.Parse(match.Groups["size"].Value, CultureInfo.InvariantCulture);
            var (bytes, isSigned) = (Math.Abs(size), size < 0);
            if (match.Groups["constant"] is { Success: true } constant)
            {
                return new Constant(long.Parse(constant.Value, CultureInfo.InvariantCulture), bytes, isSigned);
            }

            if (match.Groups["register"] is { Success: true } register && Word(register.Value) is { } word)
            {
                return new Register(word, bytes, isSigned);
            }

            if (match.Groups["base"] is { Success: true } address && Word(address.Value) is { } start)
            {
                var offset = match.Groups["offset"].Length == 0 ? 0 : long.Parse(match.Groups["offset"].Value, CultureInfo.InvariantCulture);
                return new Memory(start, offset, bytes, isSigned);
            }
        }

        throw new NotSupportedException($"The argument '{notation}' of a USDT probe stands where it cannot be read; registers, constants and memory at a register can.");
    }

    /// <summary>The lower <see cref="Size"/> bytes of a word, extended by the sign or by zeros.</summary>
    private protected long Extend(ulong word) => (Size, IsSigned) switch
    {
        (1, true) => (sbyte)word,
        (1, false) => (byte)word,
        (2, true) => (short)word,
        (2, false) => (ushort)word,
        (4, true) => (int)word,
        (4, false) => (uint)word,
        _ => (long)word,
    };

    /// <summary>Every width of a register is the same word: al, ax, eax, rax; r8b, r8w, r8d, r8.</summary>
    private static uint? Word(string register)
    {
        var name = register.TrimStart('r', 'e');
        name = register.Length > 1 && register[0] == 'r' && char.IsAsciiDigit(register[1]) ? "r" + register.Trim('r', 'b', 'w', 'd')
            : name is ['a' or 'b' or 'c' or 'd', 'l'] ? name[0] + "x"
            : name is ['s' or 'd' or 'b', .., 'l'] ? name[..2]
            : name;
        var index = Array.IndexOf(s_registers, name);
        return index < 0 ? null : (uint)index;
    }

    [GeneratedRegex(@"^(?<size>-?[1248])@(\$(?<constant>-?\d+)|%(?<register>\w+)|(?<offset>-?\d*)\(%(?<base>\w+)\))$")]
    private static partial Regex Notation();

    private sealed class Constant(long value, int size, bool isSigned) : UsdtArgument(size, isSigned)
    {
        private readonly long _value = value;

        internal override (UsdtPlace, long, uint) Place => (UsdtPlace.Constant, _value, 0);

        public override long Read(ref RegistersContext context) => _value;
    }

    private sealed class Register(uint word, int size, bool isSigned) : UsdtArgument(size, isSigned)
    {
        private readonly uint _word = word;

        internal override (UsdtPlace, long, uint) Place => (UsdtPlace.Register, 0, _word);

        public override long Read(ref RegistersContext context) => Extend(context.Word(_word));
    }

    private sealed class Memory(uint word, long offset, int size, bool isSigned) : UsdtArgument(size, isSigned)
    {
        private readonly uint _word = word;
        private readonly long _offset = offset;

        internal override (UsdtPlace, long, uint) Place => (UsdtPlace.Memory, _offset, _word);

        public override unsafe long Read(ref RegistersContext context)
        {
            ulong value = 0;
            return Helper.ProbeReadUser(&value, (uint)Size, (void*)(context.Word(_word) + (ulong)_offset)) == 0 ? Extend(value) : 0;
        }
    }
}

/// <summary>Kinds of places, numbered as in libbpf's <c>usdt.bpf.h</c>.</summary>
internal enum UsdtPlace
{
    Constant = 0,
    Register = 1,
    Memory = 2,
}
