using Skep.Bpf.Kernel;

namespace Skep.Bpf.Inspection;

/// <summary>Where BPF objects are pinned, in all bpffs mounts that this process sees.</summary>
public sealed class ObjectPins
{
    // A directory that lists itself cannot be in a bpffs; this only ends what nobody makes by hand.
    private const int Deepest = 16;

    private readonly Dictionary<(BpfObjectKind Kind, uint Id), List<string>> _paths = [];

    private ObjectPins()
    {
    }

    /// <summary>Looks through the mounts. Pins that may not be opened are left out.</summary>
    public static ObjectPins Read()
    {
        var pins = new ObjectPins();
        foreach (var mount in Mounts())
        {
            pins.AddDirectory(mount, 0);
        }

        return pins;
    }

    /// <summary>Paths of the object's pins, in order.</summary>
    public IReadOnlyList<string> Of(BpfObjectKind kind, uint id) => _paths.TryGetValue((kind, id), out var paths) ? paths : [];

    /// <summary>What is pinned at a path: its kind and number; null when nothing is, or something else.</summary>
    /// <exception cref="BpfException">EACCES or EPERM: it may not be opened.</exception>
    public static (BpfObjectKind Kind, uint Id)? At(string path)
    {
        var status = BpfSyscall.ObjGet(path, out var handle);
        using (handle)
        {
            if (status is -Errno.NoEntry or -Errno.Invalid or -20)
            {
                return null;
            }

            BpfException.ThrowIfFailed(status, $"Opening the pin {path} failed");
            return Identify(handle);
        }
    }

    private static (BpfObjectKind Kind, uint Id)? Identify(KernelHandle handle)
    {
        // Each begins with its type and its number.
        var numbers = default(TypeAndId);
        var kind = ObjectKinds.Of(handle);
        return kind != ObjectKind.Other && BpfSyscall.ObjGetInfo(handle, ref numbers) == 0
            ? (kind switch { ObjectKind.Map => BpfObjectKind.Map, ObjectKind.Link => BpfObjectKind.Link, _ => BpfObjectKind.Program }, numbers.Id)
            : null;
    }

    private static IEnumerable<string> Mounts() => File.ReadLines("/proc/self/mounts")
        .Select(line => line.Split(' '))
        .Where(fields => fields.Length > 2 && fields[2] == "bpf")
        .Select(fields => fields[1].Replace("\\040", " ", StringComparison.Ordinal))
        .Distinct();

    private void AddDirectory(string directory, int depth)
    {
        try
        {
            foreach (var path in Directory.EnumerateFileSystemEntries(directory).Order(StringComparer.Ordinal))
            {
                if (Directory.Exists(path))
                {
                    if (depth < Deepest && !new DirectoryInfo(path).Attributes.HasFlag(FileAttributes.ReparsePoint))
                    {
                        AddDirectory(path, depth + 1);
                    }
                }
                else if (TryAt(path) is { } found)
                {
                    if (!_paths.TryGetValue(found, out var paths))
                    {
                        _paths.Add(found, paths = []);
                    }

                    paths.Add(path);
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Gone meanwhile, or another user's.
        }
    }

    private static (BpfObjectKind Kind, uint Id)? TryAt(string path)
    {
        try
        {
            return At(path);
        }
        catch (Exception e) when (e is BpfException or ArgumentException)
        {
            return null;
        }
    }

    private struct TypeAndId
    {
#pragma warning disable CS0649 // written by the kernel
        internal uint Type;
        internal uint Id;
#pragma warning restore CS0649
    }
}
