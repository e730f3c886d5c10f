using Skep.Bpf.Maps;

namespace Skep.Bpf.Programs;

/// <summary>How a program is loaded.</summary>
public sealed record LoadOptions
{
    /// <summary>
    /// Directory in a bpffs where maps are pinned under their names: a map that is there already and fits is adopted with its entries,
    /// one that does not fit is refused. Null leaves maps unpinned: they live as long as the process and its programs.
    /// </summary>
    public string? PinDirectory { get; init; }

    /// <summary>Chooses the maps that are pinned in <see cref="PinDirectory"/>; all when null.</summary>
    public Predicate<BpfMap>? PinMap { get; init; }

    /// <summary>
    /// Permission to load without CAP_BPF in the initial user namespace (kernel 6.9); null to load by capabilities. Maps, types and programs are made with
    /// it, and links of such programs need nothing more: the kernel asks the program's token.
    /// </summary>
    public BpfToken? Token { get; init; }

    /// <summary>
    /// For programs that replace a function of another one (freplace, kernel 5.6): that other program, which needs types (BTF). It is not changed by the load.
    /// </summary>
    public LoadedProgram? Extends { get; init; }

    /// <summary>
    /// Level of the verifier's log when the program is accepted: 0 none (the default and fastest), 1 path, 2 all states, 4 statistics.
    /// A rejection always comes with a log.
    /// </summary>
    public int LogLevel { get; init; }

    /// <summary>
    /// When the program is too complex for the verifier, load it once more and count which source lines it walked through most often
    /// (<see cref="Verification.VerifierException.Hotspots"/>). That takes the kernel some ten seconds, so it is for development.
    /// </summary>
    public bool FindHotspots { get; init; }
}
