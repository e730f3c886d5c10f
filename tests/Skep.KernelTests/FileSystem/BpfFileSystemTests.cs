using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Skep.Bpf;
using Skep.Bpf.Kernel;
using Skep.Bpf.Maps;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.FileSystem;

public partial class BpfFileSystemTests
{
    private const int NewMounts = 0x00020000;
    private const nuint Recursive = 1 << 14, Private = 1 << 18;

    [KernelFact]
    public void A_private_directory_is_made_in_the_bpffs_that_is_there()
    {
        using var pins = new TestPins();

        Assert.True(BpfFileSystem.IsMounted(pins.Directory));
        Assert.False(BpfFileSystem.IsMounted("/proc"));
        Assert.False(BpfFileSystem.IsMounted("/no/such/path"));
        BpfFileSystem.EnsureMounted(pins.Directory);
    }

    [KernelFact]
    public void A_bpffs_is_mounted_where_there_is_none() => InOwnMounts(() =>
    {
        var directory = Directory.CreateTempSubdirectory("skep-bpffs-").FullName;
        try
        {
            var path = Path.Combine(directory, "pins");
            BpfFileSystem.EnsureMounted(path);
            using (var map = new HashMap<uint, uint>(1, "pinned"))
            {
                map.Bind(KernelMapStorage.Create(map));
                ((KernelMapStorage)map.Storage).Pin(Path.Combine(path, "pinned"));
            }

            Assert.True(File.Exists(Path.Combine(path, "pinned")));
            BpfFileSystem.Unmount(path);
            Assert.False(BpfFileSystem.IsMounted(path));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    });

    [KernelFact]
    public void A_pin_outside_a_bpffs_is_refused()
    {
        using var map = new HashMap<uint, uint>(1, "lost");
        map.Bind(KernelMapStorage.Create(map));
        var path = Path.Combine(Path.GetTempPath(), $"skep-{Guid.NewGuid():N}");

        Assert.Equal(Errno.Permission, Assert.Throws<BpfException>(() => ((KernelMapStorage)map.Storage).Pin(path)).ErrorNumber);
    }

    /// <summary>Runs on a thread that has a mount namespace of its own, from which nothing gets out.</summary>
    private static void InOwnMounts(Action action)
    {
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                Assert.Equal(0, unshare(NewMounts));
                Assert.Equal(0, LibC.mount("none", "/", "none", Recursive | Private, null));
                action();
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        });
        thread.Start();
        thread.Join();
        failure?.Throw();
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int unshare(int flags);
}
