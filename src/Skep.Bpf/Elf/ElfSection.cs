namespace Skep.Bpf.Elf;

/// <summary>
/// A section of an ELF file, from its header of 64 bytes.
/// <code>
///  0 sh_name:4     4 sh_type:4    8 sh_flags:8   16 sh_addr:8   24 sh_offset:8   32 sh_size:8
/// 40 sh_link:4    44 sh_info:4   48 sh_addralign:8             56 sh_entsize:8
/// </code>
/// </summary>
/// <param name="Index">Number of the section.</param>
/// <param name="Name">Name.</param>
/// <param name="Type">Kind of contents.</param>
/// <param name="Flags">Flags (<c>SHF_*</c>).</param>
/// <param name="Offset">Where its contents begin in the file.</param>
/// <param name="Size">Bytes of contents; those of <see cref="ElfSectionType.NoBits"/> are not in the file.</param>
/// <param name="Link">Number of a related section: the string table of a symbol table.</param>
/// <param name="Info">For relocations the number of the section they apply to.</param>
public sealed record ElfSection(int Index, string Name, ElfSectionType Type, ulong Flags, int Offset, int Size, uint Link, uint Info)
{
    private const ulong Executable = 4;

    /// <summary>Whether it holds instructions.</summary>
    public bool IsCode => Type == ElfSectionType.ProgramBits && (Flags & Executable) != 0;
}

/// <summary>Kinds of sections (<c>SHT_*</c>) that objects of eBPF programs have.</summary>
public enum ElfSectionType : uint
{
    /// <summary>No section.</summary>
    Null = 0,
    /// <summary>Code or data.</summary>
    ProgramBits = 1,
    /// <summary>Symbols.</summary>
    SymbolTable = 2,
    /// <summary>Strings.</summary>
    StringTable = 3,
    /// <summary>Relocations with addends of their own; eBPF uses none.</summary>
    RelocationsWithAddend = 4,
    /// <summary>Zeros that are not in the file.</summary>
    NoBits = 8,
    /// <summary>Relocations whose addends are in the instructions.</summary>
    Relocations = 9,
}
