using Skep.Bpf;
using Skep.Bpf.Asm;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Engine;

namespace Skep.Agent;

/// <summary>A datapath and the world it lives in.</summary>
/// <param name="Datapath">Kernel or twin.</param>
/// <param name="Clock">The monotonic clock programs read.</param>
/// <param name="Interfaces">The interfaces there are.</param>
/// <param name="Protected">Addresses that may not be blocked by accident.</param>
/// <param name="Hops">Ways to backends.</param>
/// <param name="Notices">What people should know.</param>
internal sealed record OpenedDatapath(
    IDatapath Datapath,
    TimeProvider Clock,
    Func<IReadOnlyList<HostInterface>> Interfaces,
    Func<IReadOnlyList<ProtectedAddress>> Protected,
    INextHops Hops,
    IReadOnlyList<string> Notices)
{
    /// <summary>Name of the one interface of a twin.</summary>
    public const string CaptureInterface = "capture";

    /// <summary>Opens the engine that is asked for; with <see cref="EngineChoice.Auto"/> the twin stands in where the kernel refuses.</summary>
    /// <exception cref="AgentException">The kernel was asked for and refuses.</exception>
    public static OpenedDatapath Open(AgentOptions options, TimeProvider wall)
    {
        if (options.Engine == EngineChoice.Twin || (options.Engine == EngineChoice.Auto && options.Pcap is not null))
        {
            return Twin([]);
        }

        if (options.Pcap is not null)
        {
            throw new AgentException("a capture is played by the twin engine: leave out --engine kernel.");
        }

        var refusal = KernelRefusal();
        if (refusal is null)
        {
            try
            {
                return new(new KernelDatapath(new KernelDatapathOptions(options.Paths.Pins, options.Recreate)), wall, HostInterfaces.List, Lockout.OfThisHost, new HostNextHops(), []);
            }
            catch (Exception e) when (e is BpfException or UnauthorizedAccessException or IOException)
            {
                refusal = e.Message;
            }
        }

        return options.Engine == EngineChoice.Kernel
            ? throw new AgentException($"the kernel cannot be programmed: {refusal} 'skep doctor' says more.")
            : Twin([$"The kernel cannot be programmed here: {refusal} What you see is a recorded capture, played through the same programs in this process. 'skep doctor' says more."]);
    }

    private static OpenedDatapath Twin(IReadOnlyList<string> notices)
    {
        var datapath = new TwinDatapath(new TwinOptions { Cpus = 1 });
        // Nobody can be locked out of a capture.
        return new(datapath, new TwinTime(datapath.Twin), () => [new HostInterface(1, CaptureInterface, false)], () => [], new CaptureNextHops(), notices);
    }

    /// <summary>Why the kernel takes no program from this process; null when it does.</summary>
    private static string? KernelRefusal()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            return "this process does not run as root.";
        }

        try
        {
            var probe = new ProgramSpec
            {
                Name = "skep_probe",
                Type = ProgramType.SchedCls,
                Instructions = [new Instruction((byte)(OpCodes.ClassAlu64 | OpCodes.Mov), 0, 0, 0, 0), new Instruction(OpCodes.ExitInstruction, 0, 0, 0, 0)],
            };
            ProgramLoader.Load(probe).Dispose();
            return null;
        }
        catch (Exception e) when (e is BpfException or NotSupportedException)
        {
            return e.Message;
        }
    }
}
