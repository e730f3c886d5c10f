using System.Collections.Immutable;
using System.Text;
using Skep.Resources.Reading;

namespace Skep.Resources;

/// <summary>Reads resources from files, and says everything that is wrong with them at once.</summary>
public static class ResourceLoader
{
    /// <summary>Bytes a file may have.</summary>
    public const int MaxFileBytes = DocumentReader.MaxCharacters;

    private const int MaxFiles = 1000;

    /// <summary>Reads a file, or all <c>*.yaml</c> and <c>*.yml</c> files of a directory in the order of their names.</summary>
    public static LoadedResources Load(params IEnumerable<string> paths)
    {
        var problems = new ProblemList();
        var texts = new List<ResourceText>();
        foreach (var path in paths)
        {
            foreach (var file in FilesOf(path, problems))
            {
                if (ReadText(file, problems) is { } text)
                {
                    texts.Add(new ResourceText(file, text));
                }
            }
        }

        return Read(texts, problems);
    }

    /// <summary>Reads resources from texts that are in memory already.</summary>
    public static LoadedResources Parse(params IEnumerable<ResourceText> texts) => Read(texts, new ProblemList());

    private static LoadedResources Read(IEnumerable<ResourceText> texts, ProblemList problems)
    {
        ImmutableArray<ResourceText> all = [.. texts];
        foreach (var text in all.Where(t => t.Text.AsSpan().Trim().IsEmpty))
        {
            // As a full disk or an editor cut off while saving leaves it: that must not withdraw what is in force.
            problems.Error(
                new ResourceSource(text.File, 1, 1), "empty-file", "there is nothing in it, not even a comment",
                "if it shall hold no resource, write a comment such as '# none', or remove the file");
        }

        var resources = all.SelectMany(t => ResourceReader.Read(t.File, t.Text, problems)).ToList();
        CrossChecks.Run(resources, problems);
        var set = problems.HasErrors ? null : new ResourceSet
        {
            LoadBalancers = [.. resources.OfType<LoadBalancer>()],
            BlockLists = [.. resources.OfType<BlockList>()],
            RateLimits = [.. resources.OfType<RateLimit>()],
            TunnelEndpoints = [.. resources.OfType<TunnelEndpoint>()],
            TableSizes = resources.OfType<TableSizes>().SingleOrDefault(),
        };
        return new LoadedResources(set, [.. problems.InOrder], all);
    }

    private static IEnumerable<string> FilesOf(string path, ProblemList problems)
    {
        if (File.Exists(path))
        {
            return [path];
        }

        if (!Directory.Exists(path))
        {
            problems.Error(new ResourceSource(path, 1, 1), "no-such-file", "there is no such file or directory", "check the path");
            return [];
        }

        string[] files = [.. Directory.EnumerateFiles(path).Where(IsResourceFile).Order(StringComparer.Ordinal)];
        if (files.Length > MaxFiles)
        {
            problems.Error(new ResourceSource(path, 1, 1), "too-many-files", $"the directory has {files.Length} files", $"merge them: {MaxFiles} are read");
            return [];
        }

        return files;
    }

    // Editors leave hidden files and backups beside the file they save.
    private static bool IsResourceFile(string path) =>
        Path.GetExtension(path) is ".yaml" or ".yml" && !Path.GetFileName(path).StartsWith('.');

    private static string? ReadText(string file, ProblemList problems)
    {
        var place = new ResourceSource(file, 1, 1);
        try
        {
            using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            if (!stream.CanSeek || stream.Length > MaxFileBytes)
            {
                problems.Error(place, "file-too-large", "the file is no regular file or too large", $"a file may have {MaxFileBytes >> 20} MiB: split it");
                return null;
            }

            var bytes = new byte[(int)stream.Length];
            var read = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes.AsSpan(0, read)).TrimStart('\uFEFF');
        }
        catch (DecoderFallbackException)
        {
            problems.Error(place, "bad-encoding", "the file is not UTF-8", "save it as UTF-8");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problems.Error(place, "unreadable", Node.Quote(e.Message).TrimEnd('.'), "check the permissions");
        }

        return null;
    }
}

/// <summary>A text with resources and the name to use for it in problems.</summary>
public readonly record struct ResourceText(string File, string Text);

/// <summary>Outcome of reading resources.</summary>
/// <param name="Set">The resources; null when there was an error.</param>
/// <param name="Problems">Errors and warnings, in the order of files and lines.</param>
/// <param name="Texts">What was read.</param>
public sealed record LoadedResources(ResourceSet? Set, ImmutableArray<ResourceProblem> Problems, ImmutableArray<ResourceText> Texts);
