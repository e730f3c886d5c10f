using System.Runtime.InteropServices;

namespace Skep.Bpf.Kernel;

/// <summary>Functions of the C library. One file per subject; native names stay native.</summary>
internal static unsafe partial class LibC
{
    /// <summary>bpf(2) has no wrapper in the C library, hence the raw system call.</summary>
    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    internal static partial nint syscall(nint number, nint a, nint b, nint c);
}
