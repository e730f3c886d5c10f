using System.Globalization;
using System.Text;
using Skep.Bpf.Asm;
using Skep.Bpf.Asm.Notation;

namespace Skep.Bpf.Twin.Conformance;

/// <summary>
/// Reads the text format of the public conformance vectors: sections <c>-- asm</c> or <c>-- raw</c> (instructions as bytes, or as numbers of
/// 64 bits), <c>-- mem</c> (bytes), and <c>-- result</c> or <c>-- error</c>. Other sections (<c>-- c</c>, <c>-- no register offset</c>) are
/// remarks, and <c>#</c> begins a comment.
/// </summary>
public static class VectorFile
{
    private static readonly string[] s_remarks = ["c", "no register offset"];

    /// <summary>Reads a file.</summary>
    /// <exception cref="VectorFormatException">A section is unknown, missing or damaged.</exception>
    /// <exception cref="AsmException">The assembler text has errors.</exception>
    public static ConformanceVector Read(string path) => Parse(File.ReadAllText(path), path);

    /// <summary>Reads text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="file">Name of the vector and for errors.</param>
    /// <exception cref="VectorFormatException">A section is unknown, missing or damaged.</exception>
    /// <exception cref="AsmException">The assembler text has errors.</exception>
    public static ConformanceVector Parse(string text, string file)
    {
        ArgumentNullException.ThrowIfNull(text);
        var sections = Sections(text, file);
        var name = Path.GetFileNameWithoutExtension(file);
        var code = sections.TryGetValue("raw", out var raw) ? Raw(raw, file)
            : sections.TryGetValue("asm", out var asm) ? Assembled(asm, file)
            : throw new VectorFormatException(file, 1, "there is neither a section '-- asm' nor '-- raw'");
        ulong? result = sections.TryGetValue("result", out var words) ? Number(words, file)
            : sections.ContainsKey("error") ? null
            : throw new VectorFormatException(file, 1, "there is neither a section '-- result' nor '-- error'");
        return new ConformanceVector(name, code, sections.TryGetValue("mem", out var memory) ? Bytes(memory, file) : [], result);
    }

    private static Dictionary<string, List<(int Line, string Text)>> Sections(string text, string file)
    {
        Dictionary<string, List<(int, string)>> sections = [];
        List<(int, string)>? current = null;
        var number = 0;
        foreach (var raw in text.Split('\n'))
        {
            number++;
            var line = raw.Split('#')[0].TrimEnd();
            if (line.StartsWith("--", StringComparison.Ordinal))
            {
                var name = line[2..].Trim();
                if (name is not ("asm" or "raw" or "mem" or "result" or "error") && !s_remarks.Contains(name))
                {
                    throw new VectorFormatException(file, number, $"there is no section '-- {name}': they are asm, raw, mem, result, error, c, no register offset");
                }

                if (!sections.TryAdd(name, current = []))
                {
                    throw new VectorFormatException(file, number, $"the section '-- {name}' is there twice");
                }
            }
            else if (line.Length > 0)
            {
                current?.Add((number, line));
            }
        }

        return sections;
    }

    private static AsmCode Assembled(List<(int Line, string Text)> lines, string file)
    {
        // Lines keep their numbers, so that errors name those of the file.
        var text = new StringBuilder();
        var at = 1;
        foreach (var (line, content) in lines)
        {
            text.Append('\n', line - at).Append(content);
            at = line;
        }

        return AsmReader.Read(text.ToString(), file);
    }

    private static AsmCode Raw(List<(int Line, string Text)> lines, string file)
    {
        List<byte> bytes = [];
        foreach (var (line, token) in Tokens(lines))
        {
            if (token.Length <= 2)
            {
                bytes.Add(Byte(token, line, file));
                continue;
            }

            var slot = new byte[Instruction.Size];
            System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(slot, Number(token, line, file));
            bytes.AddRange(slot);
        }

        if (bytes.Count == 0 || bytes.Count % Instruction.Size != 0)
        {
            throw new VectorFormatException(file, lines.Count == 0 ? 1 : lines[^1].Line, $"{bytes.Count} bytes are no whole number of instructions, which have 8");
        }

        var code = bytes.Chunk(Instruction.Size).Select(chunk => Instruction.Read(chunk)).ToArray();
        return new AsmCode(code, [], [new(0, "main")], new Dictionary<string, int>(), []);
    }

    private static byte[] Bytes(List<(int Line, string Text)> lines, string file) => [.. Tokens(lines).Select(t => Byte(t.Token, t.Line, file))];

    private static ulong Number(List<(int Line, string Text)> lines, string file) => lines is [var (line, text)]
        ? Number(text.Trim(), line, file)
        : throw new VectorFormatException(file, lines.Count == 0 ? 1 : lines[1].Line, "the section '-- result' has one number");

    private static IEnumerable<(int Line, string Token)> Tokens(List<(int Line, string Text)> lines) =>
        lines.SelectMany(l => l.Text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Select(token => (l.Line, token)));

    private static byte Byte(string token, int line, string file) =>
        byte.TryParse(token, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw new VectorFormatException(file, line, $"'{token}' is no byte of two hexadecimal digits");

    private static ulong Number(string token, int line, string file)
    {
        var hex = token.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        if (hex ? ulong.TryParse(token.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value)
            : ulong.TryParse(token, NumberStyles.None, CultureInfo.InvariantCulture, out value))
        {
            return value;
        }

        return long.TryParse(token, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var signed)
            ? (ulong)signed
            : throw new VectorFormatException(file, line, $"'{token}' is no number of 64 bits");
    }
}
