using System.Reflection;
using System.Text.RegularExpressions;
using Skep.Edge;

namespace Skep.Tests;

public sealed partial class ReadmeTests
{
    private static readonly string s_source = Path.Combine(AppContext.BaseDirectory, "Readme");

    public static TheoryData<string> Folders => [.. Directory.GetDirectories(s_source).Select(d => Path.GetFileName(d)!)];

    [Theory]
    [MemberData(nameof(Folders))]
    public void Every_name_in_a_folder_s_README_exists(string folder)
    {
        var types = typeof(EdgeProgram).Assembly.GetTypes();
        var known = types.Select(t => t.Name)
            .Concat(types.SelectMany(t => t.GetMembers(BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static)).Select(m => m.Name))
            .Concat(types.Select(t => t.Namespace?.Split('.')[^1] ?? ""))
            .ToHashSet();
        var text = File.ReadAllText(Path.Combine(s_source, folder, "README.md"));
        Assert.All(Names().Matches(text).Select(m => m.Groups[1].Value), name => Assert.Contains(name, known));
    }

    [GeneratedRegex("`([A-Z][A-Za-z]+)`")]
    private static partial Regex Names();
}
