using System.Text.RegularExpressions;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Tests.Documentation;

/// <summary>The pages of docs/programs say what the table says, and their code is that of samples/programs, which kernel tests compile and run.</summary>
public partial class ProgramPageTests
{
    private const int MostLines = 60;

    private static string Pages => Path.Combine(Root, "docs", "programs");

    internal static string Root
    {
        get
        {
            for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            {
                if (File.Exists(Path.Combine(folder.FullName, "skep.slnx")))
                {
                    return folder.FullName;
                }
            }

            throw new InvalidOperationException($"no skep.slnx above {AppContext.BaseDirectory}");
        }
    }

    public static TheoryData<string> Kinds => [.. ProgramKinds.All.Select(kind => kind.Name)];

    public static TheoryData<string> Samples => [.. Directory.GetFiles(Path.Combine(Root, "samples", "programs"), "*.cs").Select(f => Path.GetFileNameWithoutExtension(f))];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_kind_has_a_page_with_the_facts_of_the_table(string name)
    {
        var kind = ProgramKinds.All.Single(k => k.Name == name);
        var page = File.ReadAllText(Path.Combine(Pages, kind.Page + ".md"));
        Assert.Contains(Facts(kind), page, StringComparison.Ordinal);
        Assert.True(kind.Program is null || Blocks(page).Any(), $"{kind.Page}: no code");
    }

    [Fact]
    public void The_index_lists_the_table()
    {
        var rows = ProgramKinds.All.Select(k => $"| [{k.Name}]({k.Page}.md) | {k.Use} | {k.MinimumKernel} | {k.Attachment} |");
        Assert.EndsWith("| --- | --- | --- | --- |\n" + string.Join('\n', rows) + "\n", File.ReadAllText(Path.Combine(Pages, "README.md")), StringComparison.Ordinal);
    }

    [Fact]
    public void There_is_no_page_without_a_kind() => Assert.Equal(
        ProgramKinds.All.Select(k => k.Page).Append("README").Distinct().Order(StringComparer.Ordinal),
        Directory.GetFiles(Pages, "*.md").Select(f => Path.GetFileNameWithoutExtension(f)).Order(StringComparer.Ordinal));

    [Fact]
    public void Code_on_a_page_is_a_sample()
    {
        var samples = Samples.Select(row => File.ReadAllText(SamplePath(row.Data))).ToHashSet(StringComparer.Ordinal);
        foreach (var page in Directory.GetFiles(Pages, "*.md"))
        {
            Assert.All(Blocks(File.ReadAllText(page)), block => Assert.True(samples.Contains(block), $"{page}: the code is not that of a file in samples/programs:\n{block}"));
        }
    }

    [Theory]
    [MemberData(nameof(Samples))]
    public void A_sample_is_short_on_a_page_and_run_by_a_kernel_test(string sample)
    {
        var code = File.ReadAllText(SamplePath(sample));
        Assert.InRange(code.Split('\n').Length, 10, MostLines);
        Assert.Contains(Directory.GetFiles(Pages, "*.md"), page => Blocks(File.ReadAllText(page)).Contains(code));
        var tests = Path.Combine(Root, "tests", "Skep.KernelTests", "Programs", "Kinds");
        Assert.Contains(Directory.GetFiles(tests, "*.cs"), file => Regex.IsMatch(File.ReadAllText(file), $@"\b{sample}\b"));
    }

    private static string SamplePath(string name) => Path.Combine(Root, "samples", "programs", name + ".cs");

    private static string Facts(ProgramKind kind)
    {
        var sections = string.Join(", ", kind.Sections.Select(s => $"`{s.Name}{(s.TakesTarget ? "/TARGET" : "")}`"));
        var program = kind.Program is { } type ? $"`{type.Name.Split('`')[0]}`" : "object files only";
        return $"""
            | | {kind.Name} |
            | --- | --- |
            | derive from | {program} |
            | section | {sections} |
            | kernel | {kind.MinimumKernel} |
            | attach | {kind.Attachment} |
            | returns | {kind.Returns} |

            """;
    }

    private static IEnumerable<string> Blocks(string page) => Block().Matches(page).Select(m => m.Groups[1].Value);

    [GeneratedRegex("^```csharp\n(.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Block();
}
