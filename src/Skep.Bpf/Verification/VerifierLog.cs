using System.Globalization;
using System.Text.RegularExpressions;

namespace Skep.Bpf.Verification;

/// <summary>
/// What can be told from a verifier log. The format is nobody's promise (kernel 7.3 changed it), so whatever is not recognised is left
/// empty and the complaint falls back to the last line that says something.
/// </summary>
internal sealed partial record VerifierLog
{
    private const int MostCharacters = 1 << 18;

    internal string Complaint { get; private init; } = "";

    internal int? Slot { get; private init; }

    internal string Instruction { get; private init; } = "";

    internal string Registers { get; private init; } = "";

    /// <summary>The kernel's own name of the fault, from 7.3 on; else empty.</summary>
    internal string Headline { get; private init; } = "";

    /// <summary>Explanation by the kernel itself, from 7.3 on.</summary>
    internal string? Reason { get; private init; }

    internal string? Suggestion { get; private init; }

    internal static VerifierLog Parse(string log)
    {
        // The complaint is at the end, and a log may have hundreds of thousands of lines.
        var start = log.Length <= MostCharacters ? 0 : log.IndexOf('\n', log.Length - MostCharacters) + 1;
        var lines = log[start..].Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

        // From kernel 7.3 on a structured part follows the classic log; the complaint ends where it begins.
        var structured = Array.FindIndex(lines, line => line.StartsWith("Verification failed:", StringComparison.Ordinal));
        var classic = structured < 0 ? lines.AsSpan() : lines.AsSpan(0, structured);

        int? slot = null;
        var (instruction, registers, afterwards) = ("", "", "");
        List<string> complaint = [];
        foreach (var line in classic)
        {
            if (InstructionLine().Match(line) is { Success: true } at)
            {
                // The state printed behind an instruction is the one after it: what came before belongs to the one before.
                registers = afterwards.Length > 0 ? afterwards : registers;
                slot = int.Parse(at.Groups["slot"].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture);
                instruction = at.Groups["text"].Value.Trim();
                afterwards = at.Groups["state"].Value.Trim();
                complaint.Clear();
                if (at.Groups["over"] is { Success: true } over)
                {
                    complaint.Add(over.Value);
                }
            }
            else if (StateLine().Match(line) is { Success: true } state)
            {
                (registers, afterwards) = (state.Groups["state"].Value.Trim(), "");
            }
            else if (!Chatter().IsMatch(line))
            {
                complaint.Add(line);
            }
        }

        var headline = structured < 0 ? "" : lines[structured]["Verification failed:".Length..].Trim();

        // Without a classic part there is the marked line below the source, and the instruction in its context.
        if (slot is null && structured >= 0 && lines.Skip(structured).Select(line => MarkedInstruction().Match(line)).FirstOrDefault(m => m.Success) is { } marked)
        {
            slot = int.Parse(marked.Groups["slot"].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture);
            instruction = marked.Groups["text"].Value.Trim();
        }

        if (complaint.Count == 0 && structured >= 0 && lines.Skip(structured).Select(line => Caret().Match(line)).FirstOrDefault(m => m.Success) is { } caret)
        {
            complaint.Add(caret.Groups["text"].Value);
        }

        if (complaint.Count == 0)
        {
            complaint.Add(structured >= 0 ? lines[structured] : lines.LastOrDefault(l => !Totals().IsMatch(l)) ?? "no reason was given");
        }

        var sentence = string.Join("; ", complaint);

        // Complaints before the walk (unreachable code, wild jumps) name their instruction themselves.
        if (slot is null && NamedInstruction().Match(sentence) is { Success: true } named)
        {
            slot = int.Parse(named.Groups["slot"].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture);
        }

        return new VerifierLog
        {
            Complaint = sentence,
            Slot = slot,
            Instruction = instruction,
            Registers = registers,
            Headline = headline,
            Reason = Paragraph(lines, structured, "Reason:"),
            Suggestion = Paragraph(lines, structured, "Suggestion:"),
        };
    }

    private static string? Paragraph(string[] lines, int from, string heading)
    {
        var start = from < 0 ? -1 : Array.IndexOf(lines, heading, from);
        if (start < 0)
        {
            return null;
        }

        var text = lines.Skip(start + 1).TakeWhile(line => !line.EndsWith(':') && !Totals().IsMatch(line));
        return string.Join(" ", text) is { Length: > 0 } paragraph ? paragraph : null;
    }

    // Behind a branch the kernel goes on in the same line: with the state at the target, or with the complaint that it was one too many.
    [GeneratedRegex(@"^(?<slot>\d+): \([0-9a-f]{2}\) (?<text>.*?)(\s*; (?<state>.*)| \d+: (?<state>(R\d|fp-|frame\d).*)| (?<over>(BPF program is too large|infinite loop detected|The sequence of).*))?$")]
    private static partial Regex InstructionLine();

    [GeneratedRegex(@"^(from \d+ to )?\d+:( safe)? (frame\d+: )?(?<state>(R\d|fp-).*)$")]
    private static partial Regex StateLine();

    [GeneratedRegex(@"^(;|func#\d|func '\w+' arg\d+ has|(cur|old) state: |last_idx|regs=|mark_precise|parent |from \d+ to \d+: safe|propagating|Live regs|\d+: \.+|\d+: safe|arg#\d+ reference type|Validating |(The )?reference type)|^(verification time|stack depth|processed \d+ insns|insns_walked)")]
    private static partial Regex Chatter();

    [GeneratedRegex(@"^(verification time|stack depth|processed \d+ insns|insns_walked)")]
    private static partial Regex Totals();

    [GeneratedRegex(@"^>>> (?<slot>\d+) \| \([0-9a-f]{2}\) (?<text>.*)$")]
    private static partial Regex MarkedInstruction();

    [GeneratedRegex(@"\^-+ error: (?<text>.*)$")]
    private static partial Regex Caret();

    [GeneratedRegex(@"\binsn (?<slot>\d+)")]
    private static partial Regex NamedInstruction();
}
