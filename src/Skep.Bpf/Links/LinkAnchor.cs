using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>
/// The place of a program among those of a hook: tcx (kernel 6.6) and control groups (kernel 6.17). The default is after all others.
/// </summary>
public readonly struct LinkAnchor
{
    // BPF_F_BEFORE, BPF_F_AFTER, BPF_F_ID, BPF_F_LINK, include/uapi/linux/bpf.h
    private const uint IsBefore = 1 << 3, IsAfter = 1 << 4, IsId = 1 << 5, IsLink = 1 << 13;

    private LinkAnchor(uint flags, uint id) => (Flags, Id) = (flags, id);

    /// <summary>Before all others.</summary>
    public static LinkAnchor First => new(IsBefore, 0);

    /// <summary>After all others.</summary>
    public static LinkAnchor Last => new(IsAfter, 0);

    internal uint Flags { get; }

    internal uint Id { get; }

    /// <summary>Before the program of a link.</summary>
    public static LinkAnchor Before(Link link) => new(IsBefore | IsId | IsLink, Number(link));

    /// <summary>After the program of a link.</summary>
    public static LinkAnchor After(Link link) => new(IsAfter | IsId | IsLink, Number(link));

    /// <summary>Before a program, whoever attached it.</summary>
    public static LinkAnchor Before(LoadedProgram program) => new(IsBefore | IsId, Number(program));

    /// <summary>After a program, whoever attached it.</summary>
    public static LinkAnchor After(LoadedProgram program) => new(IsAfter | IsId, Number(program));

    private static uint Number(Link link)
    {
        ArgumentNullException.ThrowIfNull(link);
        return link.Id != 0 ? link.Id : throw new ArgumentException("The program was not attached by a link of the kernel; name the program instead.", nameof(link));
    }

    private static uint Number(LoadedProgram program)
    {
        ArgumentNullException.ThrowIfNull(program);
        return program.Id;
    }
}
