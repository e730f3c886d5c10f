using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Skep.Bpf.Kernel;

/// <summary>
/// bpf(2). One file per call; each gives a non-negative result or a negative errno, and a <see cref="KernelHandle"/> for a descriptor.
/// The kernel accepts attribute structs longer or shorter than its own as long as what it does not know is zero.
/// </summary>
internal static unsafe partial class BpfSyscall
{
    // The kernel gives EAGAIN when a signal interrupts the verifier; libbpf tries five times too.
    private const int LoadAttempts = 5;

    private static readonly nint s_number = RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => 321,
        Architecture.Arm64 or Architecture.RiscV64 or Architecture.LoongArch64 => 280,
        Architecture.Arm => 386,
        Architecture.S390x => 351,
        Architecture.Ppc64le => 361,
        var other => throw new PlatformNotSupportedException($"The number of bpf(2) on {other} is not known."),
    };

    private static int Call<T>(BpfCommand command, ref T attributes)
        where T : unmanaged
    {
        fixed (T* pointer = &attributes)
        {
            for (var attempt = 1; ; attempt++)
            {
                var result = LibC.syscall(s_number, (nint)command, (nint)pointer, Unsafe.SizeOf<T>());
                if (result >= 0)
                {
                    return (int)result;
                }

                var error = Marshal.GetLastPInvokeError();
                var again = error == Errno.Interrupted || (error == Errno.TryAgain && command == BpfCommand.ProgLoad);
                if (!again || attempt == LoadAttempts)
                {
                    return -error;
                }
            }
        }
    }

    private static int Open<T>(BpfCommand command, ref T attributes, out KernelHandle handle)
        where T : unmanaged
    {
        var result = Call(command, ref attributes);
        handle = new KernelHandle(result >= 0 ? result : -1);
        return Math.Min(result, 0);
    }
}
