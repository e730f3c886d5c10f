using System.Globalization;
using System.Text;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Verification;

/// <summary>
/// The kernel's verifier rejects a program. The message names the C# line, the rule that was broken, what the verifier knew there,
/// and what usually helps.
/// </summary>
public sealed class VerifierException : BpfException
{
    private const int HotspotsShown = 5;

    internal VerifierException(ProgramSpec spec, int status, string log, string walk = "")
        : this(spec, status, log, VerifierLog.Parse(log), VerifierHotspots.Count(spec, walk))
    {
    }

    private VerifierException(ProgramSpec spec, int status, string log, VerifierLog parsed, IReadOnlyList<VerifierHotspot> hotspots)
        : this(spec, status, log, parsed, hotspots, VerifierRule.For(parsed.Complaint) ?? VerifierRule.For(parsed.Headline), Locate(spec, parsed.Slot))
    {
    }

    private VerifierException(
        ProgramSpec spec, int status, string log, VerifierLog parsed, IReadOnlyList<VerifierHotspot> hotspots, VerifierRule? rule, SourceLine? source)
        : base(status, Describe(spec, status, parsed, hotspots, rule, source))
    {
        Hotspots = hotspots;
        ProgramName = spec.Name;
        Log = log;
        Complaint = parsed.Complaint;
        Slot = parsed.Slot;
        Instruction = parsed.Instruction;
        Registers = parsed.Registers;
        Known = RegisterWords.Describe(parsed.Registers, parsed.Instruction, parsed.Complaint);
        RuleId = rule?.Id;
        Rule = rule?.Rule ?? parsed.Reason;
        Reason = parsed.Reason;
        Mend = rule?.Mend ?? parsed.Suggestion;
        Position = source;
    }

    /// <summary>Name of the program.</summary>
    public string ProgramName { get; }

    /// <summary>Where in the C# source the rejected instruction comes from; null when the program has no lines.</summary>
    public SourceLine? Position { get; }

    /// <summary>Slot of the rejected instruction, null when the log does not tell.</summary>
    public int? Slot { get; }

    /// <summary>The rejected instruction in the kernel's notation, empty when the log does not tell.</summary>
    public string Instruction { get; }

    /// <summary>What the verifier says, in its words.</summary>
    public string Complaint { get; }

    /// <summary>Number of the rule, for example <c>SKEP1001</c>, with a row in docs/verifier-errors.md; null when the complaint is not known here.</summary>
    public string? RuleId { get; }

    /// <summary>What the verifier knew of the registers that the instruction uses, in words; empty when the log does not tell.</summary>
    public string Known { get; }

    /// <summary>The kernel's own explanation; null before 7.3.</summary>
    public string? Reason { get; }

    /// <summary>The rule that was broken, in one sentence; null when the complaint is not known here.</summary>
    public string? Rule { get; }

    /// <summary>What usually helps; null when the complaint is not known here.</summary>
    public string? Mend { get; }

    /// <summary>What the verifier knew of registers and stack before the rejected instruction, as it prints it.</summary>
    public string Registers { get; }

    /// <summary>
    /// For a program that is too complex: the source lines the verifier walked through most often before it gave up, the worst first. Else empty.
    /// </summary>
    public IReadOnlyList<VerifierHotspot> Hotspots { get; }

    /// <summary>The log as the kernel gave it; of one longer than 16 MiB only the end.</summary>
    public string Log { get; }

    private static SourceLine? Locate(ProgramSpec spec, int? slot)
    {
        SourceLine? best = null;
        foreach (var line in spec.Lines)
        {
            if (slot is { } s && line.Slot <= s && (best is null || line.Slot >= best.Value.Slot))
            {
                best = line;
            }
        }

        return best;
    }

    private static string Describe(
        ProgramSpec spec, int status, VerifierLog log, IReadOnlyList<VerifierHotspot> hotspots, VerifierRule? rule, SourceLine? source)
    {
        var text = new StringBuilder();
        if (source is { } line)
        {
            text.Append(CultureInfo.InvariantCulture, $"{line.File}({line.Line},{line.Column}): ");
        }

        text.Append(CultureInfo.InvariantCulture, $"error {rule?.Id ?? VerifierRule.Unknown}: the verifier rejects program '{spec.Name}' ({Errno.NameOf(status)}): {log.Complaint}");
        Line("source", source?.Text.Trim());
        Line("at", log.Slot is { } slot ? $"{slot}: {log.Instruction}" : "");
        Line("state", log.Registers);
        Line("known", RegisterWords.Describe(log.Registers, log.Instruction, log.Complaint));
        Line("rule", rule?.Rule ?? log.Reason);
        Line("why", rule is null ? null : log.Reason);
        Line("mend", rule?.Mend ?? log.Suggestion);
        Line("kernel", rule is null ? null : log.Suggestion);
        foreach (var (where, share) in hotspots.Take(HotspotsShown))
        {
            Line("walked", string.Create(CultureInfo.InvariantCulture, $"{share,4:p0} {Path.GetFileName(where.File)}({where.Line}): {where.Text.Trim()}"));
        }

        return text.ToString();

        void Line(string what, string? value)
        {
            if (!string.IsNullOrEmpty(value))
            {
                text.Append(CultureInfo.InvariantCulture, $"\n  {what + ":",-8}{value}");
            }
        }
    }
}
