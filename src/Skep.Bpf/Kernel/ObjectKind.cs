using System.Globalization;

namespace Skep.Bpf.Kernel;

/// <summary>What a BPF descriptor refers to.</summary>
internal enum ObjectKind
{
    Other,
    Map,
    Program,
    Link,
}

internal static class ObjectKinds
{
    /// <summary>
    /// The kind of object behind a descriptor, as /proc describes it; no call tells, and asking for the info of a map fills the struct
    /// just as well when the descriptor is a program's.
    /// </summary>
    internal static ObjectKind Of(KernelHandle handle)
    {
        using var lease = handle.Borrow();
        var description = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/self/fdinfo/{lease.Descriptor}"));
        return description.Contains("link_type:", StringComparison.Ordinal) ? ObjectKind.Link
            : description.Contains("map_type:", StringComparison.Ordinal) ? ObjectKind.Map
            : description.Contains("prog_type:", StringComparison.Ordinal) ? ObjectKind.Program
            : ObjectKind.Other;
    }

    /// <summary>Refuses what was pinned at the path when it is of another kind, and closes it.</summary>
    /// <exception cref="BpfException">EINVAL: it is of another kind.</exception>
    internal static void Require(KernelHandle handle, ObjectKind wanted, string path)
    {
        var kind = Of(handle);
        if (kind != wanted)
        {
            handle.Dispose();
            throw new BpfException($"What is pinned at {path} is a {kind.ToString().ToLowerInvariant()}, not a {wanted.ToString().ToLowerInvariant()}", Errno.Invalid);
        }
    }
}
