using Skep.Bpf.Programs;

namespace Skep.Bpf.Elf;

/// <summary>A program of an object file.</summary>
/// <param name="Name">Name of its function.</param>
/// <param name="Section">Name of its section, which says what it is (<see cref="SectionName"/>).</param>
/// <param name="Spec">The program ready to be loaded; null when there is a problem.</param>
/// <param name="Problem">Why it cannot be loaded, or null.</param>
public sealed record ObjectProgram(string Name, string Section, ProgramSpec? Spec, string? Problem)
{
    /// <summary>Whether it is loaded with the object: a question mark before the section's name says no.</summary>
    public bool LoadsByDefault => !Section.StartsWith('?');
}
