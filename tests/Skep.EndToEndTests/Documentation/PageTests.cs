using System.Text.RegularExpressions;
using Skep.EndToEndTests.Surroundings;
using Skep.Resources;

namespace Skep.EndToEndTests.Documentation;

/// <summary>What README and docs tell people to type exists, and the resources they show are valid.</summary>
public partial class PageTests
{
    public static TheoryData<string> Pages => [.. Directory.EnumerateFiles(Repository.Root, "*.md")
        .Concat(Directory.EnumerateFiles(Path.Combine(Repository.Root, "docs"), "*.md", SearchOption.AllDirectories))
        .Select(p => Path.GetRelativePath(Repository.Root, p))];

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task Every_command_on_a_page_exists_with_its_options(string page)
    {
        foreach (var line in Blocks(page, "sh").SelectMany(b => b.Split('\n')))
        {
            var words = line.Split('#')[0].Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words is not ["./skep", var verb, .. var rest])
            {
                continue;
            }

            using var help = Repository.Skep(verb, "--help");
            Assert.True(await help.EndsAsync(TimeSpan.FromSeconds(60)) == 0, $"{page}: '{line}': there is no verb '{verb}'");

            // A verb may have verbs of its own, with options of their own.
            var own = rest is [var inner, ..] && Regex.IsMatch(help.Output, $@"^\s+{Regex.Escape(inner)}\s", RegexOptions.Multiline) ? Repository.Skep(verb, inner, "--help") : null;
            using (own)
            {
                Assert.True(own is null || await own.EndsAsync(TimeSpan.FromSeconds(60)) == 0, $"{page}: '{line}': '{verb}' has no verb of that name");
            }

            var text = own?.Output ?? help.Output;
            foreach (var option in rest.Where(w => w.StartsWith('-')))
            {
                Assert.True(Regex.IsMatch(text, $@"(^|[\s,]){Regex.Escape(option)}([\s,]|$)"), $"{page}: '{line}': '{verb}' has no option '{option}'\n{text}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void Every_resource_on_a_page_is_valid(string page)
    {
        foreach (var yaml in Blocks(page, "yaml"))
        {
            var loaded = ResourceLoader.Parse(new ResourceText(page, yaml));
            Assert.True(loaded.Problems.IsEmpty && loaded.Set is not null, string.Join('\n', loaded.Problems));
        }
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void Every_link_to_a_file_leads_somewhere(string page)
    {
        var folder = Path.GetDirectoryName(Path.Combine(Repository.Root, page))!;
        foreach (Match link in Link().Matches(File.ReadAllText(Path.Combine(Repository.Root, page))))
        {
            var target = link.Groups[1].Value;
            Assert.True(
                target.StartsWith("http", StringComparison.Ordinal) || File.Exists(Path.Combine(folder, target)) || Directory.Exists(Path.Combine(folder, target)),
                $"{page}: the link to {target} leads nowhere");
        }
    }

    private static IEnumerable<string> Blocks(string page, string language) =>
        Block().Matches(File.ReadAllText(Path.Combine(Repository.Root, page)))
            .Where(m => m.Groups[1].Value == language)
            .Select(m => m.Groups[2].Value);

    [GeneratedRegex(@"^```(\w+)\n(.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Block();

    [GeneratedRegex(@"\]\(([^)#]+)\)")]
    private static partial Regex Link();
}
