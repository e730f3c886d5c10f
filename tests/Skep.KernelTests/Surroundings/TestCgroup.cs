using System.Globalization;

namespace Skep.KernelTests.Surroundings;

/// <summary>A control group of its own; it goes with the test, and whoever entered it leaves it before.</summary>
internal sealed class TestCgroup : IDisposable
{
    // The process is in one group at a time, and tests run side by side.
    private static readonly Lock s_moving = new();

    public TestCgroup()
    {
        Kernel.Require(Root is not null, "no cgroup2 file system is mounted");
        Directory = System.IO.Directory.CreateDirectory(Path.Combine(Root!, $"skep-test-{Guid.NewGuid():N}")).FullName;
    }

    public static string? Root { get; } = File.ReadLines("/proc/self/mounts")
        .Select(line => line.Split(' '))
        .FirstOrDefault(fields => fields[2] == "cgroup2")?[1];

    public string Directory { get; }

    /// <summary>Does something while the process is in the group: a socket belongs to the group in which it was made.</summary>
    public T Inside<T>(Func<T> function)
    {
        lock (s_moving)
        {
            return Enter(function);
        }
    }

    public void Dispose() => System.IO.Directory.Delete(Directory);

    private T Enter<T>(Func<T> function)
    {
        var previous = Path.Join(Root, File.ReadLines("/proc/self/cgroup").First(line => line.StartsWith("0::", StringComparison.Ordinal))[3..]);
        var self = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        File.WriteAllText(Path.Combine(Directory, "cgroup.procs"), self);
        try
        {
            return function();
        }
        finally
        {
            File.WriteAllText(Path.Combine(previous, "cgroup.procs"), self);
        }
    }
}
