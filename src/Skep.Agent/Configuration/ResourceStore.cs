using System.Text;
using Skep.Engine;
using Skep.Resources;

namespace Skep.Agent.Configuration;

/// <summary>
/// The files that say what is asked: those given to the agent, and what <c>skep apply</c> left in its state directory.
/// The last set that was good is kept, so that a restart with broken files enforces what was enforced before.
/// </summary>
internal sealed class ResourceStore(AgentOptions options, Func<IReadOnlyList<ProtectedAddress>> protectedAddresses)
{
    /// <summary>Addresses that block lists may not cover, as they are now.</summary>
    public IReadOnlyList<ProtectedAddress> Protected() => protectedAddresses();

    /// <summary>What is read, for people.</summary>
    public IReadOnlyList<string> Sources =>
        File.Exists(options.Paths.Applied) ? [.. options.Resources, options.Paths.Applied] : options.Resources;

    /// <summary>Reads everything.</summary>
    public LoadedResources Load() => Checked(ResourceLoader.Load(Sources));

    /// <summary>What would be in force with <paramref name="text"/> in the place of what was applied before.</summary>
    public LoadedResources Rehearse(ResourceText text)
    {
        var files = ResourceLoader.Load(options.Resources);
        var errors = files.Problems.Where(p => p.Id is "no-such-file" or "unreadable" or "file-too-large" or "bad-encoding" or "too-many-files").ToArray();
        var both = ResourceLoader.Parse([.. files.Texts, text]);
        return Checked(errors.Length == 0 ? both : both with { Set = null, Problems = [.. errors, .. both.Problems] });
    }

    /// <summary>Keeps <paramref name="text"/> as what was applied.</summary>
    public void SaveApplied(ResourceText text) => Write(options.Paths.Applied, text.Text);

    /// <summary>The text that was applied; null when there is none.</summary>
    public string? ReadApplied() => File.Exists(options.Paths.Applied) ? File.ReadAllText(options.Paths.Applied) : null;

    /// <summary>Takes <see cref="SaveApplied"/> back.</summary>
    public void RestoreApplied(string? before)
    {
        if (before is null)
        {
            File.Delete(options.Paths.Applied);
        }
        else
        {
            Write(options.Paths.Applied, before);
        }
    }

    /// <summary>Forgets what was applied; false when there was nothing.</summary>
    public bool DeleteApplied()
    {
        if (!File.Exists(options.Paths.Applied))
        {
            return false;
        }

        File.Delete(options.Paths.Applied);
        return true;
    }

    /// <summary>Keeps a set that is in force now.</summary>
    public void SaveLastGood(LoadedResources loaded) => Write(options.Paths.LastGood, string.Join("\n---\n", loaded.Texts.Select(t => t.Text)));

    /// <summary>The set that was in force last; null when there is none.</summary>
    public ResourceSet? LoadLastGood() => File.Exists(options.Paths.LastGood) ? ResourceLoader.Load(options.Paths.LastGood).Set : null;

    /// <summary>Names, sizes and times of the files; equal as long as nothing changed.</summary>
    public string Fingerprint()
    {
        var text = new StringBuilder();
        foreach (var path in Sources)
        {
            try
            {
                Describe(path, text);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It went away while it was read, or may not be read: a state like any other, which reading the resources will explain.
                text.Append(path).Append('|').Append(e.Message).Append('\n');
            }
        }

        return text.ToString();
    }

    private static void Describe(string path, StringBuilder text)
    {
        FileInfo[] files = Directory.Exists(path) ? [.. new DirectoryInfo(path).EnumerateFiles().OrderBy(f => f.Name, StringComparer.Ordinal)] : [new FileInfo(path)];
        foreach (var file in files)
        {
            // A symbolic link changes with its target: Kubernetes swaps whole directories that way.
            var target = file.LinkTarget is null ? file : (FileInfo?)file.ResolveLinkTarget(returnFinalTarget: true) ?? file;
            text.Append(file.FullName).Append('|').Append(target.Exists ? target.Length : -1).Append('|').Append(target.Exists ? target.LastWriteTimeUtc.Ticks : 0).Append('\n');
        }
    }

    private LoadedResources Checked(LoadedResources loaded)
    {
        if (loaded.Set is null)
        {
            return loaded;
        }

        var addresses = protectedAddresses();
        var lockouts = Lockout.Check(loaded.Set, addresses);
        return lockouts.IsEmpty
            ? loaded with { Problems = [.. loaded.Problems, .. TranslationCheck.Run(loaded.Set, addresses.Select(a => a.Address).ToHashSet(), NetworkSetting)] }
            : loaded with { Set = null, Problems = [.. loaded.Problems, .. lockouts] };
    }

    // Of the network namespace that the reading thread is in.
    private static string? NetworkSetting(string name)
    {
        try
        {
            return File.ReadAllText($"/proc/sys/net/{name}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    // A reader sees the old text or the new one, also after a crash in between.
    private static void Write(string path, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var fresh = path + ".new";
        using (var stream = new FileStream(fresh, FileMode.Create, FileAccess.Write))
        {
            stream.Write(Encoding.UTF8.GetBytes(text));
            stream.Flush(flushToDisk: true);
        }

        File.Move(fresh, path, overwrite: true);
    }
}
