using System.Globalization;
using System.Runtime.InteropServices;

namespace Skep.KernelTests.Surroundings;

/// <summary>The running thread as programs see it: tests run beside each other in one process.</summary>
internal static partial class ThisThread
{
    /// <summary>Process number in the upper 32 bits, thread number in the lower.</summary>
    public static ulong PidTgid =>
        ((ulong)Environment.ProcessId << 32) | uint.Parse(Path.GetFileName(File.ResolveLinkTarget("/proc/thread-self", false)!.FullName), CultureInfo.InvariantCulture);

    /// <summary>Keeps the thread on the CPU where it runs until the result is disposed of, for what the kernel keeps for each CPU.</summary>
    public static IDisposable OnOneCpu()
    {
        var allowed = new byte[1024];
        Assert.Equal(0, sched_getaffinity(0, (nuint)allowed.Length, allowed));
        var cpu = sched_getcpu();
        var one = new byte[1024];
        one[cpu / 8] = (byte)(1 << (cpu % 8));
        Assert.Equal(0, sched_setaffinity(0, (nuint)one.Length, one));
        return new Affinity(allowed);
    }

    private sealed class Affinity(byte[] before) : IDisposable
    {
        public void Dispose() => Assert.Equal(0, sched_setaffinity(0, (nuint)before.Length, before));
    }

    [LibraryImport("libc")]
    private static partial int sched_getaffinity(int thread, nuint size, byte[] mask);

    [LibraryImport("libc")]
    private static partial int sched_setaffinity(int thread, nuint size, byte[] mask);

    [LibraryImport("libc")]
    private static partial int sched_getcpu();
}
