using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Skep.Bpf;
using Skep.Bpf.Asm;
using Skep.Bpf.Kernel;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using static Skep.Bpf.Asm.Register;

namespace Skep.KernelTests.Programs;

public class PrivilegeTests
{
    [KernelFact]
    public void Without_privileges_the_refusal_says_what_is_needed() => WithoutPrivileges(() =>
    {
        using var map = new HashMap<uint, uint>(1, "forbidden");
        var spec = new Assembler().Move(R0, 2).Exit().Build("forbidden", ProgramType.Xdp);

        var program = Assert.Throws<BpfException>(() => ProgramLoader.Load(spec));
        var creation = Assert.Throws<BpfException>(() => KernelMapStorage.Create(map));
        var mount = Assert.Throws<BpfException>(() => BpfFileSystem.EnsureMounted("/sys/fs/bpf/forbidden"));

        Assert.Equal((Errno.Permission, Errno.Permission), (program.ErrorNumber, creation.ErrorNumber));
        Assert.Contains("CAP_BPF", program.Message);
        Assert.Contains("CAP_BPF", creation.Message);
        Assert.Contains("root is needed", mount.Message);
    });

    /// <summary>Runs as nobody on a thread of its own: the raw system call, unlike that of the C library, changes only its thread.</summary>
    private static void WithoutPrivileges(Action action)
    {
        const nint nobody = 65534;
        nint? number = RuntimeInformation.ProcessArchitecture switch
        {
            Architecture.X64 => 117,
            Architecture.Arm64 => 147,
            _ => null,
        };
        Kernel.Require(number is not null, "the number of setresuid(2) on this processor is not known");
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                Assert.Equal(0, LibC.syscall(number!.Value, nobody, nobody, nobody));
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
}
