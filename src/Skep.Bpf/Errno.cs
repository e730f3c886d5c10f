namespace Skep.Bpf;

/// <summary>Error numbers of the kernel that the library tells apart (<c>errno.h</c>).</summary>
public static class Errno
{
#pragma warning disable CS1591 // each is the errno of that meaning
    public const int Permission = 1, NoEntry = 2, Interrupted = 4, TooBig = 7, BadDescriptor = 9, TryAgain = 11, NoMemory = 12, AccessDenied = 13, Fault = 14, Busy = 16;
    public const int Exists = 17, NoDevice = 19, Invalid = 22, NoSpace = 28, NotSupported = 95, NoBuffers = 105;
#pragma warning restore CS1591

    /// <summary>Name of an error number, for example <c>ENOENT</c>.</summary>
    public static string NameOf(int errno) => Math.Abs(errno) switch
    {
        Permission => "EPERM",
        NoEntry => "ENOENT",
        3 => "ESRCH",
        Interrupted => "EINTR",
        TooBig => "E2BIG",
        BadDescriptor => "EBADF",
        TryAgain => "EAGAIN",
        NoMemory => "ENOMEM",
        AccessDenied => "EACCES",
        Fault => "EFAULT",
        Busy => "EBUSY",
        Exists => "EEXIST",
        NoDevice => "ENODEV",
        20 => "ENOTDIR",
        Invalid => "EINVAL",
        NoSpace => "ENOSPC",
        30 => "EROFS",
        34 => "ERANGE",
        36 => "ENAMETOOLONG",
        38 => "ENOSYS",
        NotSupported => "EOPNOTSUPP",
        NoBuffers => "ENOBUFS",
        524 => "ENOTSUPP",
        var other => $"errno {other}",
    };
}
