namespace Skep.Bpf.Elf;

// Classes, not structs: lists and queries of classes are compiled code of the run-time, those of structs are compiled anew in every process,
// and that is most of what a short command takes.

/// <summary>
/// A symbol of 24 bytes.
/// <code>
/// 0 st_name:4   4 st_info: binding:4 type:4   5 st_other:1   6 st_shndx:2   8 st_value:8   16 st_size:8
/// </code>
/// </summary>
/// <param name="NameOffset">Where the name is in the string table (<see cref="ElfFile.NameOf"/>).</param>
/// <param name="Type">What it names.</param>
/// <param name="Binding">Who sees it.</param>
/// <param name="Section">Number of its section; 0 when it is defined elsewhere.</param>
/// <param name="Value">Bytes from the start of the section.</param>
/// <param name="Size">Bytes of what it names.</param>
/// <param name="Other">Visibility in the low two bits.</param>
public sealed record ElfSymbol(
    uint NameOffset, ElfSymbolType Type, ElfBinding Binding, int Section, ulong Value, ulong Size, byte Other = 0)
{
    private const int Internal = 1, Hidden = 2;

    /// <summary>Whether it was compiled with hidden visibility: seen by the objects it is linked with, by nobody else.</summary>
    public bool IsHidden => (Other & 3) is Internal or Hidden;
}

/// <summary>A relocation of 16 bytes: <c>0 r_offset:8   8 r_type:4   12 r_symbol:4</c>.</summary>
/// <param name="Offset">Bytes from the start of the section.</param>
/// <param name="Type">Kind (<c>R_BPF_*</c>): 1 a wide load, 10 a call.</param>
/// <param name="Symbol">Number of the symbol.</param>
public sealed record ElfRelocation(ulong Offset, uint Type, uint Symbol);

/// <summary>What a symbol names (<c>STT_*</c>).</summary>
public enum ElfSymbolType
{
#pragma warning disable CS1591 // names of elf.h
    None = 0, Object = 1, Function = 2, Section = 3, File = 4,
#pragma warning restore CS1591
}

/// <summary>Who sees a symbol (<c>STB_*</c>).</summary>
public enum ElfBinding
{
#pragma warning disable CS1591 // names of elf.h
    Local = 0, Global = 1, Weak = 2,
#pragma warning restore CS1591
}
