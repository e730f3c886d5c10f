using System.Runtime.CompilerServices;
using Skep.Bpf.Verification;

namespace Skep.Bpf.Tests.Verification;

/// <summary>docs/verifier-errors.md says what the messages say.</summary>
public class VerifierPageTests
{
    private static string Page([CallerFilePath] string here = "") =>
        File.ReadAllText(Path.Combine(Path.GetDirectoryName(here)!, "../../../docs/verifier-errors.md"));

    [Fact]
    public void The_page_has_every_rule_in_the_words_of_the_messages()
    {
        var rows = Page().Split('\n').Where(line => line.StartsWith("| SKEP", StringComparison.Ordinal)).ToArray();
        Assert.Equal(
            VerifierRule.All.OrderBy(r => r.Id, StringComparer.Ordinal).Select(r => $"| {r.Id} | {Cell(r.Rule)} | {Cell(r.Mend)} |"),
            rows);
    }

    [Fact]
    public void The_bad_and_the_mended_method_of_the_page_are_those_that_are_tested()
    {
        var code = File.ReadAllText(Path.Combine(Path.GetDirectoryName(Here())!, "../../Skep.KernelTests/Verification/PageExampleTests.cs"));
        var methods = Page().Split("```csharp\n").Skip(1).Select(part => part.Split("```")[0].Trim()).ToArray();
        Assert.Equal(2, methods.Length);
        Assert.All(methods, method => Assert.Contains(Lines(method), Lines(code)));
    }

    private static string Here([CallerFilePath] string here = "") => here;

    private static string Lines(string text) => string.Join('\n', text.Split('\n').Select(line => line.Trim()));

    private static string Cell(string text) => text.Replace("|", "\\|", StringComparison.Ordinal);
}
