using System.Globalization;
using Skep.Cli.Lab.Network;

namespace Skep.Cli.Lab;

/// <summary>Removes what runs of the lab made: processes first, then namespaces (and with them devices, programs and links), then folders.</summary>
internal static class LabCleaner
{
    /// <summary>Removes what runs left behind whose process is gone. Runs that are alive are not touched.</summary>
    /// <returns>What was removed, for the user to read.</returns>
    internal static IReadOnlyList<string> RemoveLeftovers()
    {
        var removed = new List<string>();
        var alive = new HashSet<string>();
        if (Directory.Exists(LabJournal.Root))
        {
            foreach (var path in Directory.GetFiles(LabJournal.Root, "*.journal"))
            {
                var run = Path.GetFileNameWithoutExtension(path);
                if (ReadProcesses(path, "owner").Any(o => o.IsAlive))
                {
                    alive.Add(run);
                }
                else
                {
                    removed.AddRange(Remove(run));
                }
            }
        }

        // A namespace may outlive its journal (/run cleaned by hand): the name says whose it was.
        foreach (var name in ExistingNamespaces().Where(n => !alive.Contains(RunOf(n))))
        {
            Tool.Run("ip", "netns", "delete", name);
            removed.Add($"namespace {name}");
        }

        return removed;
    }

    /// <summary>Removes everything the journal of a run names.</summary>
    internal static IReadOnlyList<string> Remove(string run)
    {
        var removed = new List<string>();
        var path = LabJournal.PathOf(run);
        foreach (var process in ReadProcesses(path, "process").Where(p => p.IsAlive))
        {
            process.Kill();
            removed.Add($"process {process.Id}");
        }

        var lines = File.ReadAllLines(path);
        var existing = ExistingNamespaces().ToHashSet();
        foreach (var name in Values(lines, "namespace").Where(existing.Contains))
        {
            Tool.Run("ip", "netns", "delete", name);
            removed.Add($"namespace {name}");
        }

        foreach (var folder in Values(lines, "folder").Where(Directory.Exists).Reverse())
        {
            RemoveFolder(folder);
            removed.Add($"folder {folder}");
        }

        File.Delete(path);
        return removed;
    }

    /// <summary>
    /// Deletes by unlink and rmdir only: that is all a BPF file system knows, and a folder of pins there is removed like any other
    /// (the kernel lets go of a pinned object with its last name).
    /// </summary>
    private static void RemoveFolder(string folder)
    {
        foreach (var child in Directory.GetDirectories(folder))
        {
            if (new DirectoryInfo(child).LinkTarget is null)
            {
                RemoveFolder(child);
            }
        }

        foreach (var file in Directory.GetFiles(folder))
        {
            File.Delete(file);
        }

        Directory.Delete(folder);
    }

    private static IEnumerable<string> ExistingNamespaces() =>
        Directory.Exists("/run/netns")
            ? Directory.GetFileSystemEntries("/run/netns").Select(p => Path.GetFileName(p)!).Where(n => n.StartsWith(LabTopology.Prefix, StringComparison.Ordinal))
            : [];

    private static string RunOf(string networkNamespace) => networkNamespace[LabTopology.Prefix.Length..].Split('-')[0];

    private static ProcessIdentity[] ReadProcesses(string path, string kind) =>
        [.. Values(File.ReadAllLines(path), kind).Select(v => v.Split(' ')).Select(p =>
            new ProcessIdentity(int.Parse(p[0], CultureInfo.InvariantCulture), long.Parse(p[1], CultureInfo.InvariantCulture)))];

    private static IEnumerable<string> Values(string[] lines, string kind) =>
        lines.Where(l => l.StartsWith(kind + " ", StringComparison.Ordinal)).Select(l => l[(kind.Length + 1)..]);
}
