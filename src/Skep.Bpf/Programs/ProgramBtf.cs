using System.Buffers.Binary;
using Skep.Bpf.Btf;

namespace Skep.Bpf.Programs;

/// <summary>
/// Type information of a program: its functions and source lines, as the kernel wants them (<c>check_btf_info</c> in kernel/bpf/verifier.c).
/// <code>
/// bpf_func_info  0 insn_off:4   4 type_id:4
/// bpf_line_info  0 insn_off:4   4 file_name_off:4   8 line_off:4   12 line:22 column:10
/// </code>
/// </summary>
internal sealed record ProgramBtf(byte[] Btf, byte[] Functions, byte[] Lines)
{
    internal const int FunctionRecordSize = 8, LineRecordSize = 16;

    private const int HighestColumn = 0x3ff, HighestLine = 0x3fffff;

    internal static ProgramBtf For(ProgramSpec spec)
    {
        var builder = new BtfBuilder();
        var types = new FunctionBtf(builder, spec.Type);
        var entries = spec.Functions.Count > 0 ? spec.Functions : [new FunctionEntry(0, spec.Name)];
        var functions = new byte[entries.Count * FunctionRecordSize];
        for (var i = 0; i < entries.Count; i++)
        {
            var record = functions.AsSpan(i * FunctionRecordSize);
            BinaryPrimitives.WriteInt32LittleEndian(record, entries[i].Slot);
            BinaryPrimitives.WriteUInt32LittleEndian(record[4..], types.Add(entries[i]));
        }

        var lines = LineRecords(builder, spec, entries);
        return new ProgramBtf(builder.Build(), functions, lines);
    }

    private static byte[] LineRecords(BtfBuilder builder, ProgramSpec spec, IReadOnlyList<FunctionEntry> entries)
    {
        if (spec.Lines.Count == 0)
        {
            return [];
        }

        // Every function must begin with a line, slots must grow, and none may name the second half of a wide load.
        var starts = new SortedDictionary<int, SourceLine>();
        foreach (var entry in entries)
        {
            starts[entry.Slot] = spec.Lines.LastOrDefault(l => l.Slot <= entry.Slot, spec.Lines[0]);
        }

        foreach (var line in spec.Lines)
        {
            if ((uint)line.Slot < (uint)spec.Instructions.Count && !(line.Slot > 0 && spec.Instructions[line.Slot - 1].IsWideLoad))
            {
                starts[line.Slot] = line;
            }
        }

        var records = new byte[starts.Count * LineRecordSize];
        var at = 0;
        foreach (var (slot, line) in starts)
        {
            var record = records.AsSpan(at);
            BinaryPrimitives.WriteInt32LittleEndian(record, slot);
            BinaryPrimitives.WriteUInt32LittleEndian(record[4..], builder.AddString(line.File));
            BinaryPrimitives.WriteUInt32LittleEndian(record[8..], builder.AddString(line.Text.Trim()));
            var position = ((uint)Math.Clamp(line.Line, 0, HighestLine) << 10) | (uint)Math.Clamp(line.Column, 0, HighestColumn);
            BinaryPrimitives.WriteUInt32LittleEndian(record[12..], position);
            at += LineRecordSize;
        }

        return records;
    }
}
