using Skep.Bpf.Programs;

namespace Skep.Bpf.Elf;

/// <summary>What the name of a section says about the program in it, by the table of kinds (<see cref="ProgramKinds"/>).</summary>
/// <param name="Type">Program type.</param>
/// <param name="Attach">Attach type, where there is one.</param>
/// <param name="Flags">Flags of the load.</param>
/// <param name="Target">What follows the name after a slash: a function, tracepoint, hook; else null.</param>
public sealed record SectionName(ProgramType Type, AttachType? Attach, ProgramFlags Flags, string? Target)
{
    /// <summary>Reads the name of a section; null when the convention does not know it. A question mark before the name is skipped.</summary>
    public static SectionName? Parse(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return ProgramKinds.Match(name.StartsWith('?') ? name[1..] : name) is { } match
            ? new SectionName(match.Kind.Type, match.Section.Attach, match.Section.Flags, match.Target)
            : null;
    }
}
