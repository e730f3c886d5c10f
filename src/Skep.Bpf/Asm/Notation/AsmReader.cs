using System.Globalization;
using Skep.Bpf.Programs;
using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Asm.Notation;

/// <summary>
/// Reads assembler text: the notation of the kernel's log and of llvm-objdump (<c>r0 += r1</c>, <c>if r1 s> 3 goto done</c>), and the mnemonics of
/// ubpf and the public conformance vectors (<c>add r0, r1</c>, <c>jsgt r1, 3, done</c>), which may stand side by side. Listings of
/// <see cref="Disassembler"/> and of the kernel are read as they are: slots and opcodes in front are checked, and comments begin with
/// <c>;</c>, <c>//</c> or <c>#</c>.
/// </summary>
public static class AsmReader
{
    /// <summary>Reads a file.</summary>
    /// <exception cref="AsmException">The text has errors.</exception>
    public static AsmCode ReadFile(string path) => Read(File.ReadAllText(path), path);

    /// <summary>Reads text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="file">Name for errors and source lines.</param>
    /// <exception cref="AsmException">The text has errors.</exception>
    public static AsmCode Read(string text, string file = "asm")
    {
        ArgumentNullException.ThrowIfNull(text);
        var sink = new CodeSink();
        List<AsmError> errors = [];
        List<SourceLine> lines = [];
        var inComment = false;
        foreach (var raw in text.Split('\n'))
        {
            sink.Line++;
            var line = WithoutComment(raw, ref inComment);
            var begin = sink.Code.Count;
            try
            {
                Statement(new LineScanner(line), sink);
            }
            catch (AsmLineException e)
            {
                errors.Add(new AsmError(sink.Line, e.Column, e.Message));
            }

            if (sink.Code.Count > begin)
            {
                lines.Add(new SourceLine(begin, file, sink.Line, line.Length - line.TrimStart().Length + 1, line.Trim()));
            }
        }

        // The public vectors jump to the first exit by its mnemonic.
        if (sink.Code.FindIndex(i => i.Code == ExitInstruction) is >= 0 and var exit)
        {
            sink.Labels.TryAdd("exit", exit);
        }

        errors.AddRange(sink.Resolve());
        if (errors.Count == 0 && sink.Code.Count == 0)
        {
            errors.Add(new AsmError(1, 1, "expected an instruction, but the text has none"));
        }

        return errors.Count > 0
            ? throw new AsmException(file, [.. errors.OrderBy(e => e.Line).ThenBy(e => e.Column)])
            : new AsmCode(sink.Code, lines, Functions(sink), sink.Labels, sink.Maps);
    }

    private static void Statement(LineScanner s, CodeSink sink)
    {
        sink.ListedOpcode = null;
        while (Label(s, sink))
        {
        }

        if (s.AtEnd)
        {
            return;
        }

        var column = s.Column;
        Opcode(s, sink);
        var slot = sink.Code.Count;
        if (!KernelNotation.TryRead(s, sink))
        {
            MnemonicNotation.Read(s, sink);
        }

        if (!s.AtEnd)
        {
            s.Fail("the end of the line");
        }

        if (sink.ListedOpcode is { } opcode && sink.Code[slot].Code != opcode)
        {
            throw new AsmLineException(column, FormattableString.Invariant(
                $"expected an instruction with opcode {opcode:x2}, as the listing says, but this text is {sink.Code[slot].Code:x2}"));
        }
    }

    /// <summary>A label, the slot in a listing, or the head of a function as llvm-objdump writes it.</summary>
    private static bool Label(LineScanner s, CodeSink sink)
    {
        var column = s.Column;
        if (s.Word() is { } name && s.Next == ':' && s.Take(":"))
        {
            Mark(name);
            return true;
        }

        s.Return(column);
        if (char.IsAsciiDigit(s.Next))
        {
            if (s.TryNumber(out var slot) && s.Take(":"))
            {
                return slot.Bits == (ulong)sink.Code.Count
                    ? true
                    : throw new AsmLineException(column, FormattableString.Invariant(
                        $"expected slot {sink.Code.Count}, found {slot.Bits}: jumps would lead elsewhere if a line of the listing were missing"));
            }

            s.Return(column);
            if (s.Until('<') is { } address && address.Trim().All(char.IsAsciiHexDigit) && s.Until('>') is { } function && s.Take(":"))
            {
                Mark(function);
                return true;
            }

            s.Return(column);
        }
        else if (s.Take("<") && s.Until('>') is { } block && s.Take(":"))
        {
            Mark(block);
            return true;
        }

        s.Return(column);
        return false;

        void Mark(string label)
        {
            if (!sink.Labels.TryAdd(label, sink.Code.Count))
            {
                throw new AsmLineException(column, FormattableString.Invariant($"label '{label}' is there already, at slot {sink.Labels[label]}"));
            }
        }
    }

    /// <summary><c>(b7)</c> of the kernel's listing, or the eight bytes of llvm-objdump's.</summary>
    private static void Opcode(LineScanner s, CodeSink sink)
    {
        var column = s.Column;
        if (s.Next == '(')
        {
            s.Take("(");
            if (s.Until(')') is { } digits && byte.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var opcode))
            {
                sink.ListedOpcode = opcode;
                return;
            }
        }
        else
        {
            var count = 0;
            byte first = 0;
            while (count < 16 && s.Until(' ') is { Length: 2 } digits
                && byte.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value))
            {
                first = count++ == 0 ? value : first;
                column = count is 8 or 16 ? s.Column : column;
            }

            // A 64-bit load has sixteen.
            if (count >= 8)
            {
                s.Return(column);
                sink.ListedOpcode = first;
                return;
            }
        }

        s.Return(column);
    }

    private static List<FunctionEntry> Functions(CodeSink sink)
    {
        var names = sink.Labels.GroupBy(l => l.Value).ToDictionary(g => g.Key, g => g.First().Key);
        SortedSet<int> starts = [0];
        for (var slot = 0; slot < sink.Code.Count; slot++)
        {
            var i = sink.Code[slot];
            var isCall = i.Code == CallInstruction && i.Src == PseudoCall;
            var target = slot + 1 + i.Immediate;
            if ((isCall || (i.IsWideLoad && i.Src == PseudoFunction)) && (uint)target < (uint)sink.Code.Count)
            {
                starts.Add(target);
            }

            slot += i.IsWideLoad ? 1 : 0;
        }

        return [.. starts.Select(slot => new FunctionEntry(slot, names.GetValueOrDefault(slot, FormattableString.Invariant($"function_{slot}"))))];
    }

    private static string WithoutComment(string line, ref bool inComment)
    {
        var characters = line.TrimEnd().Replace('\t', ' ').ToCharArray();
        for (var at = 0; at < characters.Length; at++)
        {
            var next = at + 1 < characters.Length ? characters[at + 1] : '\0';
            if (inComment)
            {
                inComment = characters[at] != '*' || next != '/';
                characters[at] = ' ';
                if (!inComment)
                {
                    characters[++at] = ' ';
                }
            }
            else if (characters[at] == '/' && next == '*')
            {
                inComment = true;
                characters[at] = characters[at + 1] = ' ';
                at++;
            }
            else if (characters[at] == ';' || (characters[at] == '/' && next == '/') || (characters[at] == '#' && (at == 0 || char.IsWhiteSpace(characters[at - 1]))))
            {
                return new string(characters, 0, at);
            }
        }

        return new string(characters);
    }
}
