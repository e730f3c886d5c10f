namespace Skep.Bpf.Asm;

/// <summary>Opcode bits (RFC 9669 sections 3 to 5).</summary>
public static class OpCodes
{
#pragma warning disable CS1591 // the names are those of RFC 9669 and linux/bpf_common.h
    // Classes
    public const byte ClassLd = 0x00, ClassLdx = 0x01, ClassSt = 0x02, ClassStx = 0x03;
    public const byte ClassAlu = 0x04, ClassJmp = 0x05, ClassJmp32 = 0x06, ClassAlu64 = 0x07;

    // Operand source
    public const byte SourceImmediate = 0x00, SourceRegister = 0x08;

    // Sizes and modes of memory operations
    public const byte SizeW = 0x00, SizeH = 0x08, SizeB = 0x10, SizeDw = 0x18;
    public const byte ModeImm = 0x00, ModeAbs = 0x20, ModeInd = 0x40, ModeMem = 0x60, ModeMemSx = 0x80, ModeAtomic = 0xc0;

    // Arithmetic
    public const byte Add = 0x00, Sub = 0x10, Mul = 0x20, Div = 0x30, Or = 0x40, And = 0x50, Lsh = 0x60, Rsh = 0x70;
    public const byte Neg = 0x80, Mod = 0x90, Xor = 0xa0, Mov = 0xb0, Arsh = 0xc0, End = 0xd0;

    // Jumps
    public const byte Ja = 0x00, Jeq = 0x10, Jgt = 0x20, Jge = 0x30, Jset = 0x40, Jne = 0x50, Jsgt = 0x60, Jsge = 0x70;
    public const byte Call = 0x80, Exit = 0x90, Jlt = 0xa0, Jle = 0xb0, Jslt = 0xc0, Jsle = 0xd0, Jcond = 0xe0;

    // Atomics (in the immediate)
    public const int AtomicFetch = 0x01, AtomicAdd = 0x00, AtomicOr = 0x40, AtomicAnd = 0x50, AtomicXor = 0xa0;
    public const int AtomicXchg = 0xe0 | AtomicFetch, AtomicCmpXchg = 0xf0 | AtomicFetch;
    public const int AtomicLoadAcquire = 0x100, AtomicStoreRelease = 0x110;

    // Pseudo source registers of 64-bit loads and calls
    public const byte PseudoMapFd = 1, PseudoMapValue = 2, PseudoBtfId = 3, PseudoFunction = 4, PseudoMapIndex = 5, PseudoMapIndexValue = 6;
    public const byte PseudoCall = 1, PseudoKfunc = 2;

    // Offset of a register move that changes the address space (kernel 6.9)
    public const short AddressSpaceCast = 1;

    public const byte LoadImmediate64 = ClassLd | ModeImm | SizeDw;
    public const byte ExitInstruction = ClassJmp | Exit;
    public const byte CallInstruction = ClassJmp | Call;
#pragma warning restore CS1591
}
