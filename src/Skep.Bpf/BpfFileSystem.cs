using System.Runtime.InteropServices;
using Skep.Bpf.Kernel;

namespace Skep.Bpf;

/// <summary>The file system in which pins live (bpffs, kernel 4.4).</summary>
public static unsafe class BpfFileSystem
{
    private const ulong BpfMagic = 0xcafe4a11;
    private const int RoomForStatfs = 256;

    /// <summary>Where a bpffs is mounted by custom.</summary>
    public const string DefaultPath = "/sys/fs/bpf";

    /// <summary>Whether <paramref name="path"/> lies in a bpffs; false when it does not exist.</summary>
    public static bool IsMounted(string path)
    {
        var buffer = stackalloc byte[RoomForStatfs];
        return LibC.statfs(path, buffer) == 0 && (*(ulong*)buffer & uint.MaxValue) == BpfMagic;
    }

    /// <summary>
    /// Makes sure that <paramref name="path"/> is a directory in a bpffs: creates it in the one it lies in, or mounts one there,
    /// which only this mount namespace then sees.
    /// </summary>
    /// <exception cref="BpfException">The kernel refused; EPERM or EACCES without CAP_SYS_ADMIN.</exception>
    public static void EnsureMounted(string path = DefaultPath)
    {
        if (IsMounted(path))
        {
            return;
        }

        // Under the customary mount point a private directory is enough, once that is mounted.
        if (path.StartsWith(DefaultPath + "/", StringComparison.Ordinal))
        {
            EnsureMounted(DefaultPath);
        }

        try
        {
            Directory.CreateDirectory(path);
        }
        catch (UnauthorizedAccessException)
        {
            throw new BpfException($"Creating {path} failed; root is needed", Errno.AccessDenied);
        }

        if (!IsMounted(path) && LibC.mount("bpffs", path, "bpf", 0, "mode=0700") < 0)
        {
            throw new BpfException($"Mounting a bpffs at {path} failed", Marshal.GetLastPInvokeError());
        }
    }

    /// <summary>Unmounts the bpffs at <paramref name="path"/>; its pins go.</summary>
    /// <exception cref="BpfException">EINVAL when nothing is mounted there, EBUSY when it is in use.</exception>
    public static void Unmount(string path)
    {
        if (LibC.umount2(path, 0) < 0)
        {
            throw new BpfException($"Unmounting {path} failed", Marshal.GetLastPInvokeError());
        }
    }
}
