using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace Skep.KernelTests.Compiler;

/// <summary><c>docs/clr-and-bpf.md</c> is a table of claims; each names the test that holds it.</summary>
public partial class ClrAndBpfPageTests
{
    [Fact]
    public void Every_row_names_a_test_that_exists_and_no_test_is_left_out()
    {
        var root = Path.GetFullPath(Path.Combine(Folder(), "..", "..", ".."));
        var rows = File.ReadAllLines(Path.Combine(root, "docs", "clr-and-bpf.md")).Select(static l => Row().Match(l)).Where(static m => m.Success).ToList();
        Assert.True(rows.Count >= 20, $"{rows.Count} rows");
        foreach (var row in rows)
        {
            var (type, method) = (row.Groups[1].Value, row.Groups[2].Value);
            var file = Assert.Single(Directory.GetFiles(Path.Combine(root, "tests"), type + ".cs", SearchOption.AllDirectories), f => Names(f, method));
            Assert.NotEmpty(file);
        }

        var named = rows.Select(static m => m.Groups[2].Value).ToHashSet();
        Assert.All(
            typeof(SemanticsTests).GetMethods().Where(static m => m.IsDefined(typeof(FactAttribute), true)),
            m => Assert.True(named.Contains(m.Name), $"no row on the page names {m.Name}"));
    }

    private static bool Names(string file, string method) => File.ReadAllText(file).Contains($"public void {method}(", StringComparison.Ordinal);

    private static string Folder([CallerFilePath] string file = "") => Path.GetDirectoryName(file)!;

    [GeneratedRegex(@"^\|.*\| `(\w+)\.(\w+)` \|$")]
    private static partial Regex Row();
}
