using System.Globalization;
using System.Runtime.InteropServices;

namespace Skep.KernelTests.Surroundings;

/// <summary>
/// A control group of its own, below that of this process, with one thread in it: that of a network namespace. It is a threaded group, so that
/// the other tests of the process are not in it. Who uses it is in the collection of those who move the process, so that neither disturbs the other.
/// </summary>
internal sealed partial class ThreadCgroup : IDisposable
{
    /// <summary>Collection of the test classes that use control groups.</summary>
    public const string Collection = "control groups";

    private readonly string _parent;

    public ThreadCgroup(TestNamespace inside)
    {
        Kernel.Require(TestCgroup.Root is not null, "no cgroup2 file system is mounted");
        var own = File.ReadLines("/proc/self/cgroup").First(line => line.StartsWith("0::", StringComparison.Ordinal))[3..];
        _parent = System.IO.Path.Join(TestCgroup.Root, own);
        Path = Directory.CreateDirectory(System.IO.Path.Combine(_parent, $"skep-test-{Guid.NewGuid():N}")).FullName;
        try
        {
            File.WriteAllText(System.IO.Path.Combine(Path, "cgroup.type"), "threaded");
            Move(inside.Run(gettid).ToString(CultureInfo.InvariantCulture), Path);
        }
        catch
        {
            Directory.Delete(Path);
            throw;
        }
    }

    public string Path { get; }

    public void Dispose()
    {
        // Threads that were started from the one inside are here too, and may end while they are moved.
        Eventually.True(
            () =>
            {
                foreach (var thread in File.ReadLines(System.IO.Path.Combine(Path, "cgroup.threads")).ToArray())
                {
                    try
                    {
                        Move(thread, _parent);
                    }
                    catch (IOException)
                    {
                    }
                }

                return !File.ReadLines(System.IO.Path.Combine(Path, "cgroup.threads")).Any();
            },
            "the group was empty");
        Directory.Delete(Path);
    }

    private static void Move(string thread, string group) => File.WriteAllText(System.IO.Path.Combine(group, "cgroup.threads"), thread);

    [LibraryImport("libc")]
    private static partial int gettid();
}
