using System.Text.RegularExpressions;
using Skep.EndToEndTests.Surroundings;

namespace Skep.EndToEndTests.Lab;

public partial class LabPageTests
{
    [Fact]
    public async Task The_page_names_the_rows_that_there_are()
    {
        using var lab = Repository.Skep("lab", "--list");
        Assert.Equal(0, await lab.EndsAsync(TimeSpan.FromSeconds(60)));
        var listed = lab.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(line => (line.Split(' ')[0], line[line.IndexOf(' ')..].Trim()));

        var page = File.ReadAllText(Path.Combine(Repository.Root, "docs", "lab.md"));
        Assert.Equal(listed, Row().Matches(page).Select(m => (m.Groups[1].Value, m.Groups[2].Value.Trim())));
    }

    [GeneratedRegex(@"^\| `(\w+)` \| (.+) \|$", RegexOptions.Multiline)]
    private static partial Regex Row();
}
