using System.Runtime.CompilerServices;
using Skep.Bpf.Programs;
using Skep.Bpf.Verification;

namespace Skep.KernelTests.Verification;

/// <summary>Holds our own verifier to every program that any test of this assembly loads: what the kernel accepts, it must accept.</summary>
internal static class AcceptedPrograms
{
    private static int s_checked, s_complete;

    /// <summary>Programs that were checked, and those of which all paths were walked.</summary>
    public static (int Checked, int Complete) Counts => (s_checked, s_complete);

#pragma warning disable CA2255 // the tests have no common beginning else
    [ModuleInitializer]
#pragma warning restore CA2255
    internal static void Watch() => ProgramLoader.Accepted = spec =>
    {
        var check = ProgramCheck.Run(spec);
        Interlocked.Increment(ref s_checked);
        if (check.IsComplete)
        {
            Interlocked.Increment(ref s_complete);
        }

        if (check.Failure is { } failure)
        {
            throw new InvalidOperationException($"The kernel accepts '{spec.Name}', our own verifier does not:\n{failure}\n{Skep.Bpf.Asm.Disassembler.Disassemble(spec)}");
        }
    };
}
