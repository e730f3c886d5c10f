using System.Runtime.InteropServices;

namespace Skep.Cli.Lab.Kernel;

/// <summary>The system calls the lab needs and .NET has not.</summary>
internal static partial class Libc
{
    internal const int SIGKILL = 9;
    internal const int SIGTERM = 15;
    internal const int EPERM = 1;
    internal const int ESRCH = 3;

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int kill(int pid, int sig);
}
