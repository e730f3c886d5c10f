using System.Text.RegularExpressions;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Tests.Documentation;

/// <summary>docs/maps.md says what the table of map kinds says, and the code of docs/kernel-library.md is that of samples/library, which kernel tests compile and run.</summary>
public partial class LibraryPageTests
{
    private const int MostLines = 60;

    private static string Samples => Path.Combine(ProgramPageTests.Root, "samples", "library");

    [Fact]
    public void The_table_of_maps_is_the_one_of_the_library()
    {
        var rows = MapKinds.All.Select(static r => $"| {r.Name} | `{r.Class!.Name.Split('`')[0]}` | {r.MinimumKernel} | {r.Use} | {(r.InTwin ? "yes" : "no")} |");
        Assert.Contains("| --- | --- | --- | --- | --- |\n" + string.Join('\n', rows) + "\n\n", Page("maps"), StringComparison.Ordinal);
    }

    [Fact]
    public void Code_on_the_page_is_a_sample_and_every_sample_is_on_it()
    {
        var samples = Directory.GetFiles(Samples, "*.cs").Select(File.ReadAllText).Order(StringComparer.Ordinal);
        var blocks = Block().Matches(Page("kernel-library")).Select(static m => m.Groups[1].Value).Order(StringComparer.Ordinal);
        Assert.Equal(samples, blocks);
    }

    [Fact]
    public void A_sample_is_short_and_run_by_a_kernel_test()
    {
        var tests = File.ReadAllText(Path.Combine(ProgramPageTests.Root, "tests", "Skep.KernelTests", "Programming", "LibrarySampleTests.cs"));
        foreach (var file in Directory.GetFiles(Samples, "*.cs"))
        {
            Assert.InRange(File.ReadAllLines(file).Length, 10, MostLines);
            Assert.Matches($@"new {Path.GetFileNameWithoutExtension(file)}\(\)", tests);
        }
    }

    private static string Page(string name) => File.ReadAllText(Path.Combine(ProgramPageTests.Root, "docs", name + ".md"));

    [GeneratedRegex("^```csharp\n(.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Block();
}
