namespace Skep.Bpf.Programs;

/// <summary>Names of pins: a bpffs reserves names with dots, a slash would be a directory, and a NUL ends the name.</summary>
public static class PinName
{
    /// <summary>The name under which an object called <paramref name="name"/> is pinned.</summary>
    public static string For(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        return string.Create(name.Length, name, static (target, source) =>
        {
            for (var i = 0; i < target.Length; i++)
            {
                target[i] = source[i] is '.' or '/' || char.IsControl(source[i]) ? '_' : source[i];
            }
        });
    }
}
