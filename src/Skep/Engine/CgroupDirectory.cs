namespace Skep.Engine;

/// <summary>Control groups, version 2, as directories.</summary>
public static class CgroupDirectory
{
    private const string Usual = "/sys/fs/cgroup";

    private static readonly Lazy<string> s_root = new(FindRoot);

    /// <summary>Directory of a group; whether there is one shows when a program is attached.</summary>
    /// <param name="path">From the root of the hierarchy: <c>/</c> for all processes.</param>
    public static string Of(string path) => Path.TrimEndingDirectorySeparator(Path.Join(s_root.Value, path));

    private static string FindRoot() => File.ReadLines("/proc/self/mounts").Select(line => line.Split(' ')).FirstOrDefault(fields => fields[2] == "cgroup2")?[1] ?? Usual;
}
