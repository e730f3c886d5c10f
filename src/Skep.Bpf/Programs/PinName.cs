namespace Skep.Bpf.Programs;

/// <summary>Names of pins: a bpffs reserves names with dots, and a slash would be a directory.</summary>
public static class PinName
{
    /// <summary>The name under which an object called <paramref name="name"/> is pinned.</summary>
    public static string For(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        return name.Replace('.', '_').Replace('/', '_');
    }
}
