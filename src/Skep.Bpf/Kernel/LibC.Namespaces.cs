using System.Runtime.InteropServices;

namespace Skep.Bpf.Kernel;

internal static unsafe partial class LibC
{
    internal const int CLONE_NEWNET = 0x40000000;

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int setns(SafeHandle descriptor, int type);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int unshare(int flags);
}
