using System.Collections.Frozen;

namespace Skep.Bpf.Programs;

/// <summary>
/// The table of program kinds. Section names are those of <c>section_defs</c> in libbpf.c; first versions are those of the kernel's
/// changelogs, the floor of this library is 5.15.
/// </summary>
public static partial class ProgramKinds
{
    private const ProgramFlags Sleeps = ProgramFlags.Sleepable, Frags = ProgramFlags.XdpHasFrags;
    private const string CgroupLink = "link on a control group (5.7)", Ignored = "ignored";
    private const string AllowOrRefuse = "1 allows; 0 refuses, and the call fails with EPERM";

    private static readonly FrozenDictionary<string, SectionMatch> s_sections;

    static ProgramKinds()
    {
        All = [.. Interfaces, .. Cgroups, .. Sockets, .. Tracing, .. Others];
        s_sections = All
            .SelectMany(static kind => kind.Sections.Select(section => new SectionMatch(kind, section, null)))
            .ToFrozenDictionary(static match => match.Section.Name);
    }

    /// <summary>All kinds, in the order of the documentation.</summary>
    public static IReadOnlyList<ProgramKind> All { get; }

    /// <summary>Reads the name of a section, such as <c>cgroup/connect4</c> or <c>tp_btf/kfree_skb</c>; null when no kind has it.</summary>
    public static SectionMatch? Match(string section)
    {
        ArgumentNullException.ThrowIfNull(section);
        if (s_sections.TryGetValue(section, out var exact))
        {
            return exact;
        }

        var slash = section.IndexOf('/', StringComparison.Ordinal);
        return slash > 0 && s_sections.TryGetValue(section[..slash], out var match) && match.Section.TakesTarget
            ? match with { Target = section[(slash + 1)..] }
            : null;
    }

    private static ProgramSection Section(string name, AttachType? attach = null, ProgramFlags flags = ProgramFlags.None) => new(name, attach, flags);

    private static ProgramSection Target(string name, AttachType? attach = null, ProgramFlags flags = ProgramFlags.None) =>
        new(name, attach, flags, TakesTarget: true);
}
