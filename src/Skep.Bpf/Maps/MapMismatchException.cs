namespace Skep.Bpf.Maps;

/// <summary>A pinned map is not what the program expects; nothing was changed.</summary>
public sealed class MapMismatchException : BpfException
{
    internal MapMismatchException(BpfMap expected, string path, IReadOnlyList<string> differences)
        : base(Errno.Invalid, $"""
            Map '{expected.Name}' does not fit the map pinned at {path}:
              {string.Join("\n  ", differences)}
            Remove the pin to begin with an empty map, or keep the layout the pin has.
            """)
    {
        Path = path;
        Differences = differences;
    }

    /// <summary>Path of the pin.</summary>
    public string Path { get; }

    /// <summary>What differs, one property each.</summary>
    public IReadOnlyList<string> Differences { get; }
}
