using System.Globalization;
using System.Text;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Verification;

/// <summary>Why a program would be rejected, said without a kernel.</summary>
/// <param name="RuleId">Number of the rule, the same that a kernel's rejection gets: a row in docs/verifier-errors.md.</param>
/// <param name="Rule">The rule in one sentence.</param>
/// <param name="Mend">What usually helps.</param>
/// <param name="Detail">What is wrong at this place.</param>
/// <param name="Known">What is known of the register at fault, in words; empty when none is.</param>
/// <param name="Slot">Slot of the instruction.</param>
/// <param name="Instruction">The instruction in the kernel's notation.</param>
/// <param name="Position">Where in the source it comes from; null when the program has no lines.</param>
public sealed record CheckFailure(string RuleId, string Rule, string Mend, string Detail, string Known, int Slot, string Instruction, SourceLine? Position)
{
    /// <summary>The failure as a compiler prints one: file, line, rule, what is known and what helps.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        if (Position is { } line)
        {
            text.Append(CultureInfo.InvariantCulture, $"{line.File}({line.Line},{line.Column}): ");
        }

        text.Append(CultureInfo.InvariantCulture, $"error {RuleId}: {Detail}");
        foreach (var (what, value) in ((string, string)[])[("source", Position?.Text.Trim() ?? ""), ("at", $"{Slot}: {Instruction}"), ("known", Known), ("rule", Rule), ("mend", Mend)])
        {
            if (value.Length > 0)
            {
                text.Append(CultureInfo.InvariantCulture, $"\n  {what + ":",-8}{value}");
            }
        }

        return text.ToString();
    }
}
