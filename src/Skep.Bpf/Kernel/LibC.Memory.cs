using System.Runtime.InteropServices;

namespace Skep.Bpf.Kernel;

internal static unsafe partial class LibC
{
    internal const int PROT_READ = 1, PROT_WRITE = 2, MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_FIXED_NOREPLACE = 0x100000;

    /// <summary>What mmap gives on failure.</summary>
    internal static void* MAP_FAILED => (void*)-1;

    [LibraryImport("libc", SetLastError = true)]
    internal static partial void* mmap(void* address, nuint length, int protection, int flags, int descriptor, nint offset);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int munmap(void* address, nuint length);
}
