using System.Runtime.InteropServices;

namespace Skep.Bpf.Kernel;

internal static unsafe partial class LibC
{
    internal const int EPOLL_CLOEXEC = 0x80000, EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CTL_MOD = 3;
    internal const uint EPOLLIN = 1, EPOLLONESHOT = 1u << 30;

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int epoll_create1(int flags);

    /// <param name="epoll">The epoll descriptor.</param>
    /// <param name="operation">EPOLL_CTL_*.</param>
    /// <param name="descriptor">What to watch.</param>
    /// <param name="event">An <c>epoll_event</c>; see <see cref="EpollEvent"/> for its layout.</param>
    [LibraryImport("libc", SetLastError = true)]
    internal static partial int epoll_ctl(int epoll, int operation, int descriptor, byte* @event);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int epoll_wait(int epoll, byte* events, int capacity, int timeoutMilliseconds);
}

/// <summary>
/// <c>struct epoll_event</c>: packed on x86-64 only (<c>EPOLL_PACKED</c>), which no single C# struct can say.
/// <code>
/// x86-64, 12 bytes:  0 events:4   4 data:8
/// others, 16 bytes:  0 events:4   4 padding:4   8 data:8
/// </code>
/// </summary>
internal static unsafe class EpollEvent
{
    internal static readonly int Size = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;

    internal static void Write(byte* target, uint events, ulong data)
    {
        *(uint*)target = events;
        *(ulong*)(target + Size - 8) = data;
    }

    internal static ulong ReadData(byte* source) => *(ulong*)(source + Size - 8);
}
