using System.Text.RegularExpressions;

namespace Skep.Bpf.Verification;

/// <summary>A rule of the verifier: how its complaint reads, what it wants, and what to do in C#.</summary>
/// <param name="Id">Number, for example <c>SKEP1001</c>; docs/verifier-errors.md has a row on each.</param>
/// <param name="Pattern">How kernels word the complaint.</param>
/// <param name="Rule">The rule in one sentence.</param>
/// <param name="Mend">What usually helps, in C#.</param>
internal sealed partial record VerifierRule(string Id, string Pattern, string Rule, string Mend)
{
    /// <summary>All rules, in the order they are tried.</summary>
    internal static IReadOnlyList<VerifierRule> All => s_rules;

    internal static VerifierRule? For(string complaint) =>
        Array.Find(s_rules, rule => Regex.IsMatch(complaint, rule.Pattern, RegexOptions.CultureInvariant | RegexOptions.IgnoreCase));

    internal static VerifierRule Get(string id) => Array.Find(s_rules, rule => rule.Id == id) ?? throw new ArgumentException(id, nameof(id));
}
