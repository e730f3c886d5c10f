using System.Globalization;

namespace Skep.Bpf.Inspection;

/// <summary>A process that holds a BPF object open.</summary>
/// <param name="ProcessId">Its number.</param>
/// <param name="Name">Its name, as the process itself chose it: text from outside.</param>
public readonly record struct ObjectOwner(int ProcessId, string Name);

/// <summary>Which processes hold which BPF objects, as <c>/proc/*/fdinfo</c> tells; processes of others are seen by root only.</summary>
public sealed class ObjectOwners
{
    // What a descriptor of each kind says of itself. A link names its program too, a program no other object.
    private static readonly (string Line, BpfObjectKind Kind)[] s_lines =
    [
        ("link_id:", BpfObjectKind.Link), ("map_id:", BpfObjectKind.Map), ("btf_id:", BpfObjectKind.Btf), ("prog_id:", BpfObjectKind.Program),
    ];

    private readonly Dictionary<(BpfObjectKind Kind, uint Id), SortedSet<int>> _holders = [];
    private readonly Dictionary<int, string> _names = [];

    private ObjectOwners()
    {
    }

    /// <summary>Looks through all processes. What ends or closes meanwhile is left out.</summary>
    public static ObjectOwners Read()
    {
        var owners = new ObjectOwners();
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(directory.AsSpan()), NumberStyles.None, CultureInfo.InvariantCulture, out var process))
            {
                owners.AddProcess(process, directory);
            }
        }

        return owners;
    }

    /// <summary>The processes that hold the object, by number.</summary>
    public IReadOnlyList<ObjectOwner> Of(BpfObjectKind kind, uint id) =>
        _holders.TryGetValue((kind, id), out var processes) ? [.. processes.Select(p => new ObjectOwner(p, _names[p]))] : [];

    private void AddProcess(int process, string directory)
    {
        try
        {
            foreach (var descriptor in Directory.EnumerateFileSystemEntries(Path.Combine(directory, "fd")))
            {
                // The target tells BPF objects from the many files and sockets without opening anything.
                if (File.ResolveLinkTarget(descriptor, false)?.Name is { } target && target.StartsWith("anon_inode:", StringComparison.Ordinal)
                    && (target.Contains("bpf", StringComparison.Ordinal) || target.Contains("btf", StringComparison.Ordinal)))
                {
                    AddDescriptor(process, directory, Path.GetFileName(descriptor));
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The process ended, or is another user's.
        }
    }

    private void AddDescriptor(int process, string directory, string descriptor)
    {
        try
        {
            var lines = File.ReadAllLines(Path.Combine(directory, "fdinfo", descriptor));
            foreach (var (prefix, kind) in s_lines)
            {
                var line = Array.Find(lines, l => l.StartsWith(prefix, StringComparison.Ordinal));
                if (line is not null && uint.TryParse(line.AsSpan(prefix.Length).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var id))
                {
                    _names.TryAdd(process, File.ReadAllText(Path.Combine(directory, "comm")).TrimEnd('\n'));
                    if (!_holders.TryGetValue((kind, id), out var processes))
                    {
                        _holders.Add((kind, id), processes = []);
                    }

                    processes.Add(process);
                    return;
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Closed meanwhile.
        }
    }
}
