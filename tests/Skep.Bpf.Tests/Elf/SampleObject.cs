using Skep.Bpf.Asm;
using Skep.Bpf.Btf;

namespace Skep.Bpf.Tests.Elf;

/// <summary>
/// A small object with a bit of everything: an XDP program that calls a static function which returns a constant, a variable, a typed and a
/// legacy map, and a relocation against the kernel's types.
/// </summary>
internal static class SampleObject
{
    public const byte MoveImmediate = 0xb7, WideLoad = 0x18, Load32 = 0x61, Exit = 0x95, Call = 0x85;

    /// <summary>Builds the object. The program returns the first word of <c>.rodata</c>.</summary>
    public static byte[] Build(byte constant = 2)
    {
        var elf = new ElfWriter();
        var text = elf.Code(".text", new(WideLoad, 1, 0, 0, 4), default, new(Load32, 0, 1, 0, 0), new(Exit, 0, 0, 0, 0));
        var xdp = elf.Code(
            "xdp",
            new(WideLoad, 1, 0, 0, 0), default, // the typed map
            new(WideLoad, 1, 0, 0, 0), default, // the legacy map
            new(WideLoad, 1, 0, 0, 0), default, // a variable in .bss
            new(Call, 0, 1, 0, -1),
            new(Exit, 0, 0, 0, 0));
        var rodata = elf.Section(".rodata", [9, 0, 0, 0, constant, 0, 0, 0]);
        var bss = elf.Section(".bss", new byte[16], zeros: true);
        var typed = elf.Section(".maps", new byte[24]);
        var legacy = elf.Section("maps", [1, 0, 0, 0, 8, 0, 0, 0, 16, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0]);
        elf.Section("license", "GPL\0"u8.ToArray());
        elf.Section(".BTF", Types());
        elf.Function("pass", xdp, 0, 8);
        elf.Function("constant", text, 0, 4, local: true);
        var textSymbol = elf.Symbol("", 3, text, 0, 0);
        elf.Relocate(xdp, 0, 1, elf.Object("counts", typed, 0, 24));
        elf.Relocate(xdp, 2, 1, elf.Object("old", legacy, 0, 20));
        elf.Relocate(xdp, 4, 1, elf.Object("variable", bss, 8, 8));
        elf.Relocate(xdp, 6, 10, textSymbol);
        elf.Relocate(text, 0, 1, elf.Symbol("", 3, rodata, 0, 0));
        return elf.Build();
    }

    // struct { __uint(type, 2); __uint(max_entries, 4); __type(key, u32); __type(value, u64); __uint(pinning, 1); } counts SEC(".maps");
    private static byte[] Types()
    {
        var b = new BtfBuilder();
        var u32 = b.AddInt("unsigned int", 4, false);
        var u64 = b.AddInt("unsigned long long", 8, false);
        uint Number(uint value) => b.AddPointer(b.AddArray(u32, u32, value));
        var shape = b.AddStruct(
            "", 40, ("type", Number(2), 0u), ("max_entries", Number(4), 64u), ("key", b.AddPointer(u32), 128u), ("value", b.AddPointer(u64), 192u),
            ("pinning", Number(1), 256u));
        b.AddDataSection(".maps", b.AddVariable("counts", shape));
        return b.Build();
    }
}
