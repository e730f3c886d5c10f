using System.Globalization;

namespace Skep.KernelTests.Surroundings;

/// <summary>The running thread as programs see it: tests run beside each other in one process.</summary>
internal static class ThisThread
{
    /// <summary>Process number in the upper 32 bits, thread number in the lower.</summary>
    public static ulong PidTgid =>
        ((ulong)Environment.ProcessId << 32) | uint.Parse(Path.GetFileName(File.ResolveLinkTarget("/proc/thread-self", false)!.FullName), CultureInfo.InvariantCulture);
}
