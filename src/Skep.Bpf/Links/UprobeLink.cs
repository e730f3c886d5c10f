using System.Runtime.InteropServices;
using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>A place in an executable or library where a program runs.</summary>
/// <param name="Path">The file.</param>
/// <param name="Offset">Offset of the instruction in the file.</param>
/// <param name="ReferenceCounter">Offset of the counter that switches the probe on, 0 for none (USDT semaphores).</param>
public readonly record struct UprobePoint(string Path, ulong Offset, ulong ReferenceCounter = 0)
{
    /// <summary>The start of a function.</summary>
    /// <param name="path">The file.</param>
    /// <param name="function">Name in its symbol tables, for example <c>malloc</c>.</param>
    /// <exception cref="EntryPointNotFoundException">The file has no such function; stripped files have exported ones only.</exception>
    /// <exception cref="Elf.ElfFormatException">The file is damaged or no 64-bit little-endian executable.</exception>
    public static UprobePoint AtFunction(string path, string function)
    {
        var file = Elf.ExecutableFile.Read(path);
        return file.FindFunction(function) is { } offset
            ? new UprobePoint(path, offset)
            : throw new EntryPointNotFoundException($"{path} has no function '{function}' in its symbol tables.");
    }
}

/// <summary>Attaches programs to functions of processes (kernel 4.17; by link 5.15; many at once 6.6).</summary>
public sealed unsafe class UprobeLink : Link
{
    private const uint MultiReturn = 1;

    internal UprobeLink(KernelLink link)
        : base(link)
    {
    }

    /// <summary>Runs a program each time the place is reached.</summary>
    /// <param name="program">A uprobe program.</param>
    /// <param name="point">The place.</param>
    /// <param name="processId">One process, or -1 for all, also those to come.</param>
    /// <param name="isReturn">Whether it runs when the function that begins there returns.</param>
    /// <param name="cookie">A number that the program can ask for (<c>bpf_get_attach_cookie</c>).</param>
    /// <exception cref="NotSupportedException">The kernel has no uprobes.</exception>
    /// <exception cref="BpfException">EINVAL when no instruction begins there; ESRCH; ENOENT.</exception>
    public static PerfEventLink Attach(LoadedProgram program, UprobePoint point, int processId = -1, bool isReturn = false, ulong cookie = 0)
    {
        ArgumentNullException.ThrowIfNull(program);
        fixed (byte* path = BpfSyscall.NullTerminated(point.Path))
        {
            var attributes = new PerfEventAttributes
            {
                Type = PerfEvent.SourceType("uprobe"),
                Config = (isReturn ? PerfEvent.ReturnProbe : 0) | (point.ReferenceCounter << PerfEvent.ReferenceCounterShift),
                Config1 = (ulong)path,
                Config2 = point.Offset,
                Flags = PerfEventAttributes.Disabled,
            };
            var cpu = processId < 0 ? 0 : -1;
            return PerfEventLink.Attach(program, ref attributes, processId, cpu, cookie, $"{point.Path} at 0x{point.Offset:x}");
        }
    }

    /// <summary>Runs a program that was loaded as <c>uprobe.multi</c> or <c>uretprobe.multi</c> at many places of one file (kernel 6.6).</summary>
    /// <param name="program">The program.</param>
    /// <param name="points">The places, all in one file.</param>
    /// <param name="processId">One process, or -1 for all.</param>
    /// <param name="isReturn">Whether it runs when the functions return.</param>
    /// <exception cref="BpfException">EINVAL before kernel 6.6, or when the program was not loaded for it; ESRCH.</exception>
    public static UprobeLink AttachMany(LoadedProgram program, IReadOnlyList<UprobePoint> points, int processId = -1, bool isReturn = false)
    {
        ArgumentNullException.ThrowIfNull(program);
        ArgumentNullException.ThrowIfNull(points);
        if (points.Count == 0 || points.Any(point => point.Path != points[0].Path))
        {
            throw new ArgumentException("At least one place is needed, and all must be in one file.", nameof(points));
        }

        var places = points.Select(static point => point.Offset).ToArray();
        fixed (byte* path = BpfSyscall.NullTerminated(points[0].Path))
        fixed (ulong* offsets = places)
        {
            var attributes = new LinkCreateAttributes
            {
                AttachType = AttachType.TraceUprobeMulti,
                UprobePath = path,
                UprobeOffsets = offsets,
                UprobeCount = (uint)places.Length,
                UprobeFlags = isReturn ? MultiReturn : 0,
                UprobePid = processId < 0 ? 0 : (uint)processId,
            };
            BpfException.ThrowIfFailed(
                KernelLink.Create(program, ref attributes, out var link),
                $"Attaching program '{program.Name}' to {places.Length} places of {points[0].Path} failed; this needs kernel 6.6 and section uprobe.multi");
            return new UprobeLink(link);
        }
    }
}
