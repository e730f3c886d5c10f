using System.Buffers.Binary;
using Skep.Bpf.Asm;
using Skep.Bpf.Btf;
using Skep.Bpf.Tests.Elf;
using Skep.Bpf.Twin.Captures;

namespace Skep.Fuzz;

/// <summary>Small good files of every kind that a parser reads, with a bit of everything in them.</summary>
internal static class FileCorpus
{
    private const byte WideLoad = OpCodes.LoadImmediate64, Load32 = OpCodes.ClassLdx | OpCodes.ModeMem | OpCodes.SizeW, Move = 0xb7;

    /// <summary>Object files.</summary>
    public static IReadOnlyList<byte[]> Objects { get; } = [SampleObject.Build(), RichObject()];

    /// <summary>Captures in the old format.</summary>
    public static IReadOnlyList<byte[]> Captures { get; } = [Capture(CaptureWriter.Pcap)];

    /// <summary>Captures in the new format.</summary>
    public static IReadOnlyList<byte[]> NewCaptures { get; } = [Capture(CaptureWriter.Pcapng)];

    /// <summary>A made-up kernel: structs that nest, an enumeration, a function, a table of functions.</summary>
    public static byte[] KernelTypes()
    {
        var b = new BtfBuilder();
        var number = b.AddInt("int", 4, true);
        var wide = b.AddInt("u64", 8, false);
        var part = b.AddStruct("part", 8, ("padding", number, 0u), ("wanted", number, 32u));
        var thing = b.AddStruct("thing", 32, ("wide", wide, 0u), ("", b.AddUnion("", 8, ("part", part), ("raw", wide)), 64u), ("list", b.AddArray(number, number, 4), 128u));
        b.AddStruct("thing", 32, ("wide", wide, 0u));
        b.AddEnum("choice", ("FIRST", 3), ("SECOND", -1));
        b.AddEnum64("wide_choice", ("HIGH", 1L << 40));
        b.AddTypedef("thing_t", b.AddConst(thing));
        var prototype = b.AddPrototype(number, ("t", b.AddPointer(thing)));
        b.AddFunction("kernel_function", prototype, global: false);
        b.AddVariable("kernel_variable", number);
        var table = b.AddStruct("table", 24, ("run", b.AddPointer(prototype), 0u), ("name", b.AddArray(number, number, 4), 64u));
        b.AddStruct("bpf_struct_ops_table", 64, ("common", wide, 0u), ("data", table, 64u));
        return b.Build();
    }

    /// <summary>Types of <see cref="RichObject"/>.</summary>
    public static byte[] ObjectTypes() => Types(out _);

    private static byte[] Types(out (uint Thing, uint Choice, uint Function, uint Main) ids)
    {
        var b = new BtfBuilder();
        var number = b.AddInt("int", 4, true);
        var wide = b.AddInt("u64", 8, false);
        var part = b.AddStruct("part", 4, ("wanted", number, 0u));
        var thing = b.AddStruct("thing___mine", 24, ("part", part, 0u), ("list", b.AddArray(number, number, 4), 32u));
        var choice = b.AddEnum("choice", ("SECOND", 1));
        var prototype = b.AddPrototype(number, ("t", b.AddPointer(b.AddStruct("thing", 0))));
        var function = b.AddFunction("kernel_function", prototype, global: true);
        var main = b.AddFunction("main", b.AddPrototype(number, ("ctx", b.AddPointer(0))), global: true);
        uint Say(uint value) => b.AddPointer(b.AddArray(number, number, value));
        var inner = b.AddStruct("inner", 32, ("type", Say(2), 0u), ("max_entries", Say(1), 64u), ("key", b.AddPointer(number), 128u), ("value", b.AddPointer(wide), 192u));
        var outer = b.AddStruct("", 32, ("type", Say(12), 0u), ("max_entries", Say(2), 64u), ("key_size", Say(4), 128u), ("values", b.AddArray(b.AddPointer(inner), number, 0), 192u));
        b.AddDataSection(".maps", 64, (b.AddVariable("first", inner), 0u, 32u), (b.AddVariable("outer", outer), 32u, 32u));
        b.AddDataSection(".kconfig", 5, (b.AddVariable("CONFIG_HZ", number), 0u, 4u), (b.AddVariable("LINUX_KERNEL_VERSION", number), 0u, 4u));
        b.AddDataSection(".ksyms", 4, (function, 0u, 4u), (b.AddVariable("jiffies", b.AddConst(0)), 0u, 4u));
        var table = b.AddStruct("table", 24, ("run", b.AddPointer(prototype), 0u), ("name", b.AddArray(number, number, 4), 64u));
        b.AddDataSection(".struct_ops", 24, (b.AddVariable("own", table), 0u, 24u));
        ids = (thing, choice, function, main);
        _ = (b.AddString("tc"), b.AddString("0:0:0"), b.AddString("0"), b.AddString("main.c"), b.AddString("return 0;"));
        return b.Build();
    }

    private static byte[] RichObject()
    {
        var types = Types(out var ids);
        var elf = new ElfWriter();
        var code = elf.Code(
            "tc",
            new(WideLoad, 1, 0, 0, 0), default, // CONFIG_HZ
            new(WideLoad, 2, 0, 0, 0), default, // jiffies
            new(WideLoad, 3, 0, 0, 0), default, // the map of maps
            new(Load32, 4, 1, 0, 0), // a field of the kernel
            new(Move, 5, 0, 0, 1), // an enumerator
            new(OpCodes.CallInstruction, 0, OpCodes.PseudoCall, 0, -1), // a function of the kernel
            new(OpCodes.ExitInstruction, 0, 0, 0, 0));
        var table = elf.Code("struct_ops", new(Move, 0, 0, 0, 0), new(OpCodes.ExitInstruction, 0, 0, 0, 0));
        var maps = elf.Section(".maps", new byte[64]);
        var ops = elf.Section(".struct_ops", new byte[24]);
        elf.Section("license", "GPL\0"u8.ToArray());
        elf.Section(".BTF", types);
        elf.Section(".BTF.ext", Extension(types, ids));
        elf.Function("main", code, 0, 10);
        var run = elf.Function("run", table, 0, 2);
        var first = elf.Object("first", maps, 0, 32);
        elf.Relocate(code, 0, 1, elf.Symbol("CONFIG_HZ", 0x10, 0, 0, 0));
        elf.Relocate(code, 2, 1, elf.Symbol("jiffies", 0x20, 0, 0, 0));
        elf.Relocate(code, 4, 1, elf.Object("outer", maps, 32, 32));
        elf.Relocate(code, 8, 10, elf.Symbol("kernel_function", 0x10, 0, 0, 0));
        elf.Relocate(maps, 7, 2, first);
        elf.Object("own", ops, 0, 24);
        elf.Relocate(ops, 0, 2, run);
        return elf.Build();
    }

    /// <summary>One function, two source lines, two relocations. Strings are those of the types, found by their text.</summary>
    private static byte[] Extension(byte[] types, (uint Thing, uint Choice, uint Function, uint Main) ids)
    {
        using var file = BtfFile.Parse(types);
        uint Text(string text) => (uint)file.Bytes[file.Strings.Start..].IndexOf(System.Text.Encoding.ASCII.GetBytes($"\0{text}\0")) + 1;

        var (section, access, enumerator, source, text) = (Text("tc"), Text("0:0:0"), Text("0"), Text("main.c"), Text("return 0;"));
        uint[] functions = [8, section, 1, 0, ids.Main];
        uint[] lines = [16, section, 2, 0, source, text, 1 << 10, 48, source, text, 2 << 10];
        uint[] relocations = [16, section, 2, 48, ids.Thing, access, 0, 56, ids.Choice, enumerator, 11];
        uint[] words =
        [
            0x0001eb9f, 32, 0, (uint)functions.Length * 4, (uint)functions.Length * 4, (uint)lines.Length * 4,
            (uint)(functions.Length + lines.Length) * 4, (uint)relocations.Length * 4, .. functions, .. lines, .. relocations,
        ];
        var result = new byte[words.Length * 4];
        for (var i = 0; i < words.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(result.AsSpan(i * 4), words[i]);
        }

        return result;
    }

    private static byte[] Capture(Func<Stream, CaptureWriter> create)
    {
        var stream = new MemoryStream();
        using (var writer = create(stream))
        {
            for (var i = 0; i < 4; i++)
            {
                writer.Write((ulong)i * 1_000_000_007, new byte[60 + i], (uint)(i == 3 ? 1500 : 0));
            }
        }

        return stream.ToArray();
    }
}
