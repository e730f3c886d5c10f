using Skep.Bpf.Asm;
using Skep.Bpf.Btf;
using Skep.Bpf.Kernel;

namespace Skep.Bpf.Inspection;

/// <summary>A source line and where its code begins.</summary>
/// <param name="Slot">Instruction after the verifier's rewriting.</param>
/// <param name="Address">Address of the machine code, 0 when not told.</param>
/// <param name="File">File: text from outside.</param>
/// <param name="Line">Line, from 1.</param>
/// <param name="Column">Column, from 1.</param>
/// <param name="Text">The line itself, may be empty: text from outside.</param>
public sealed record DumpedLine(uint Slot, ulong Address, string File, int Line, int Column, string Text);

/// <summary>A function of a program.</summary>
/// <param name="Slot">First instruction after the verifier's rewriting.</param>
/// <param name="Name">Name by its BTF, empty without: text from outside.</param>
/// <param name="Address">Address of its machine code, 0 when not told.</param>
/// <param name="Length">Bytes of its machine code.</param>
public sealed record DumpedFunction(uint Slot, string Name, ulong Address, uint Length);

/// <summary>The code of a program in the kernel: what the verifier made of it, and the machine code.</summary>
public sealed record ProgramDump
{
    private ProgramDump()
    {
    }

    /// <summary>Instructions after the verifier's rewriting; empty where the kernel hides them.</summary>
    public required IReadOnlyList<Instruction> Instructions { get; init; }

    /// <summary>Machine code of all functions, one after the other; empty when the JIT is off or the kernel hides it.</summary>
    public required ReadOnlyMemory<byte> MachineCode { get; init; }

    /// <summary>Its functions, in order of both.</summary>
    public required IReadOnlyList<DumpedFunction> Functions { get; init; }

    /// <summary>Its source lines, in order of both; empty without BTF.</summary>
    public required IReadOnlyList<DumpedLine> Lines { get; init; }

    /// <summary>Reads the code of a program.</summary>
    /// <exception cref="BpfException">ENOENT when it is gone, EPERM without CAP_SYS_ADMIN.</exception>
    public static unsafe ProgramDump Read(uint id)
    {
        using var handle = KernelObjects.Open(BpfObjectKind.Program, id);
        var sizes = default(ProgramInfoBuffers);
        BpfException.ThrowIfFailed(BpfSyscall.ObjGetInfo(handle, ref sizes), $"Reading the code of program {id} failed");
        var translated = new byte[sizes.TranslatedLength];
        var jited = new byte[sizes.JitedLength];
        var symbols = new ulong[sizes.JitedSymbolCount];
        var lengths = new uint[sizes.JitedFunctionCount];
        var functions = new byte[sizes.FunctionCount * sizes.FunctionRecordSize];
        var lines = new byte[sizes.LineCount * sizes.LineRecordSize];
        var addresses = new ulong[sizes.JitedLineCount];
        fixed (byte* t = translated, j = jited, f = functions, l = lines)
        fixed (ulong* s = symbols, a = addresses)
        fixed (uint* n = lengths)
        {
            var info = new ProgramInfoBuffers
            {
                Translated = t, TranslatedLength = sizes.TranslatedLength,
                Jited = j, JitedLength = sizes.JitedLength,
                JitedSymbols = s, JitedSymbolCount = sizes.JitedSymbolCount,
                JitedFunctionLengths = n, JitedFunctionCount = sizes.JitedFunctionCount,
                Functions = f, FunctionCount = sizes.FunctionCount, FunctionRecordSize = sizes.FunctionRecordSize,
                Lines = l, LineCount = sizes.LineCount, LineRecordSize = sizes.LineRecordSize,
                JitedLines = a, JitedLineCount = sizes.JitedLineCount, JitedLineRecordSize = sizeof(ulong),
            };
            BpfException.ThrowIfFailed(BpfSyscall.ObjGetInfo(handle, ref info), $"Reading the code of program {id} failed");
        }

        // A program's code is complete or hidden, never cut: a null pointer back means hidden (kptr_restrict, kernel lock-down).
        using var types = OpenTypes(sizes.BtfId);
        return new ProgramDump
        {
            Instructions = [.. Enumerable.Range(0, translated.Length / Instruction.Size).Select(i => Instruction.Read(translated.AsSpan(i * Instruction.Size)))],
            MachineCode = jited,
            Functions = ReadFunctions(functions, (int)sizes.FunctionRecordSize, symbols, lengths, types),
            Lines = ReadLines(lines, (int)sizes.LineRecordSize, addresses, types),
        };
    }

    private static BtfFile? OpenTypes(uint id)
    {
        try
        {
            return id != 0 ? BtfFile.OpenById(id) : null;
        }
        catch (Exception e) when (e is BpfException or InvalidDataException)
        {
            return null;
        }
    }

    private static List<DumpedFunction> ReadFunctions(byte[] records, int size, ulong[] symbols, uint[] lengths, BtfFile? types)
    {
        // struct bpf_func_info: insn_off, type_id
        var result = new List<DumpedFunction>();
        var count = Math.Max(lengths.Length, size == 0 ? 0 : records.Length / size);
        for (var i = 0; i < count; i++)
        {
            var known = size > 0 && (i + 1) * size <= records.Length;
            var slot = known ? BitConverter.ToUInt32(records, i * size) : 0;
            var type = known ? BitConverter.ToUInt32(records, (i * size) + 4) : 0;
            var name = types is not null && type != 0 && type < types.Count ? types[type].Name : "";
            result.Add(new DumpedFunction(slot, name, i < symbols.Length ? symbols[i] : 0, i < lengths.Length ? lengths[i] : 0));
        }

        return result;
    }

    private static List<DumpedLine> ReadLines(byte[] records, int size, ulong[] addresses, BtfFile? types)
    {
        // struct bpf_line_info: insn_off, file_name_off, line_off, line:22 column:10
        var result = new List<DumpedLine>();
        for (var i = 0; size > 0 && types is not null && (i + 1) * size <= records.Length; i++)
        {
            uint Word(int word) => BitConverter.ToUInt32(records, (i * size) + (word * 4));
            var position = Word(3);
            result.Add(new DumpedLine(
                Word(0), i < addresses.Length ? addresses[i] : 0, types.StringAt(Word(1), int.MaxValue), (int)(position >> 10), (int)(position & 0x3ff),
                types.StringAt(Word(2), int.MaxValue)));
        }

        return result;
    }
}
