using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Asm;

/// <summary>Conformance groups of RFC 9669 section 2.4: what an engine supports, it supports by whole groups.</summary>
[Flags]
public enum ConformanceGroups
{
    /// <summary>None: an instruction that the RFC does not have.</summary>
    None = 0,
    /// <summary>What every engine has.</summary>
    Base32 = 1,
    /// <summary>64-bit arithmetic, jumps, loads and stores.</summary>
    Base64 = 2,
    /// <summary>32-bit atomics.</summary>
    Atomic32 = 4,
    /// <summary>64-bit atomics.</summary>
    Atomic64 = 8,
    /// <summary>32-bit multiplication and division.</summary>
    DivMul32 = 16,
    /// <summary>64-bit multiplication and division.</summary>
    DivMul64 = 32,
    /// <summary>Packet loads of classic BPF, deprecated.</summary>
    Packet = 64,
}

/// <summary>Tells the groups of instructions.</summary>
public static class ConformanceGroup
{
    /// <summary>The group of an instruction; none for the kernel's own additions and for what does not exist.</summary>
    public static ConformanceGroups Of(Instruction i)
    {
        if (InstructionEncoding.Problem(i) is not null)
        {
            return ConformanceGroups.None;
        }

        var operation = i.Code & 0xf0;
        var wide = (i.Code & 0x18) == SizeDw;
        return i.Class switch
        {
            ClassAlu when operation is Mul or Div or Mod => ConformanceGroups.DivMul32,
            ClassAlu when operation == End && i.Immediate == 64 => ConformanceGroups.Base64,
            ClassAlu => ConformanceGroups.Base32,
            ClassAlu64 when operation is Mul or Div or Mod => ConformanceGroups.DivMul64,
            ClassAlu64 when operation == End && i.Immediate != 64 => ConformanceGroups.Base32,
            ClassAlu64 when operation == Mov && i.Offset == AddressSpaceCast => ConformanceGroups.None,
            ClassAlu64 => ConformanceGroups.Base64,
            ClassJmp when operation == Jcond || i.Code is (CallInstruction | SourceRegister) or (ClassJmp | Ja | SourceRegister) => ConformanceGroups.None,
            ClassJmp when operation is Ja or Call or Exit => ConformanceGroups.Base32,
            ClassJmp => ConformanceGroups.Base64,
            ClassJmp32 => ConformanceGroups.Base32,
            ClassStx when (i.Code & 0xe0) == ModeAtomic => i.Immediate >= AtomicLoadAcquire ? ConformanceGroups.None
                : wide ? ConformanceGroups.Atomic64 : ConformanceGroups.Atomic32,
            ClassLd => i.IsWideLoad ? ConformanceGroups.Base64 : ConformanceGroups.Packet,
            ClassLdx when i.Code == (ClassLdx | ModeMemSx | SizeW) => ConformanceGroups.Base64,
            _ => wide ? ConformanceGroups.Base64 : ConformanceGroups.Base32,
        };
    }
}
