using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>Attaches programs to tracepoints with stable fields (kernel 4.7; by link 5.15).</summary>
public static class TracepointLink
{
    /// <summary>Attaches a program to the tracepoint that its section names.</summary>
    /// <param name="program">A tracepoint program.</param>
    /// <param name="cookie">A number that the program can ask for (<c>bpf_get_attach_cookie</c>).</param>
    /// <exception cref="NotSupportedException">The kernel has no such tracepoint, or no tracefs can be mounted.</exception>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public static PerfEventLink Attach(LoadedProgram program, ulong cookie = 0)
    {
        ArgumentNullException.ThrowIfNull(program);
        var target = program.Spec?.AttachTarget ?? throw new ArgumentException(
            $"Program '{program.Name}' does not say which tracepoint it is for; say it in its section name.", nameof(program));
        var attributes = new PerfEventAttributes
        {
            Type = PerfEvent.Tracepoint, Config = TracepointFormat.Read(target).Id, SamplePeriod = 1, WakeupEvents = 1,
            Flags = PerfEventAttributes.Disabled,
        };
        return PerfEventLink.Attach(program, ref attributes, -1, 0, cookie, $"tracepoint {target}");
    }
}
