using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>Attaches programs to functions of the kernel (kernel 4.17; by link 5.15; many at once 5.18).</summary>
public sealed unsafe class KprobeLink : Link
{
    private const uint MultiReturn = 1;

    internal KprobeLink(KernelLink link)
        : base(link)
    {
    }

    /// <summary>Runs a program each time a kernel function is called, or returns.</summary>
    /// <param name="program">A kprobe program.</param>
    /// <param name="function">Name of the function; that of the section when null.</param>
    /// <param name="isReturn">Whether it runs when the function returns.</param>
    /// <exception cref="NotSupportedException">The kernel has no kprobes (CONFIG_KPROBES).</exception>
    /// <exception cref="BpfException">ENOENT when there is no such function; EINVAL when it must not be probed.</exception>
    public static PerfEventLink Attach(LoadedProgram program, string? function = null, bool isReturn = false)
    {
        ArgumentNullException.ThrowIfNull(program);
        function ??= Target(program);
        fixed (byte* name = BpfSyscall.NullTerminated(function))
        {
            var attributes = new PerfEventAttributes
            {
                Type = PerfEvent.SourceType("kprobe"),
                Config = isReturn ? PerfEvent.ReturnProbe : 0,
                Config1 = (ulong)name,
                Flags = PerfEventAttributes.Disabled,
            };
            return PerfEventLink.Attach(program, ref attributes, -1, 0, 0, $"kernel function {function}");
        }
    }

    /// <summary>Runs a program that was loaded as <c>kprobe.multi</c> or <c>kretprobe.multi</c> at a function (kernel 5.18).</summary>
    /// <param name="program">The program.</param>
    /// <param name="function">Name of the function; that of the section when null.</param>
    /// <param name="isReturn">Whether it runs when the function returns.</param>
    /// <exception cref="BpfException">EOPNOTSUPP or EINVAL when the kernel has no kprobe.multi (CONFIG_FPROBE); ESRCH when there is no such function.</exception>
    public static KprobeLink AttachMulti(LoadedProgram program, string? function = null, bool isReturn = false)
    {
        ArgumentNullException.ThrowIfNull(program);
        function ??= Target(program);
        fixed (byte* name = BpfSyscall.NullTerminated(function))
        {
            var symbol = name;
            var attributes = new LinkCreateAttributes
            {
                AttachType = AttachType.TraceKprobeMulti, KprobeFlags = isReturn ? MultiReturn : 0, KprobeCount = 1, KprobeSymbols = &symbol,
            };
            BpfException.ThrowIfFailed(
                KernelLink.Create(program, ref attributes, out var link),
                $"Attaching program '{program.Name}' to kernel function {function} failed; this needs kernel 5.18 with CONFIG_FPROBE");
            return new KprobeLink(link);
        }
    }

    private static string Target(LoadedProgram program) => program.Spec?.AttachTarget ?? throw new ArgumentException(
        $"Program '{program.Name}' does not say which function it is for; say it in its section name.", nameof(program));
}
