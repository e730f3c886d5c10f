using System.Runtime.InteropServices;

namespace Skep.Bpf.Kernel;

internal static unsafe partial class LibC
{
    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int mount(string source, string target, string type, nuint flags, string? data);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int umount2(string target, int flags);

    /// <param name="path">Any path in the file system.</param>
    /// <param name="buffer"><c>struct statfs</c>, 120 bytes on 64-bit machines; the type is its first word.</param>
    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int statfs(string path, byte* buffer);
}
