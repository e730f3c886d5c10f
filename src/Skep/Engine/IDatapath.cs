using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Engine;

/// <summary>
/// Where programs run: the kernel, or the twin in this process. Programs are objects and maps are objects;
/// a datapath gives the maps their storage and runs the programs at their hooks.
/// </summary>
public interface IDatapath : IDisposable
{
    /// <summary><c>kernel</c> or <c>twin</c>.</summary>
    string Name { get; }

    /// <summary>What people should know: degraded features, adopted state.</summary>
    IReadOnlyList<string> Notices { get; }

    /// <summary>Programs in force.</summary>
    IReadOnlyList<AttachedProgram> Attached { get; }

    /// <summary>Maps with storage.</summary>
    IReadOnlyList<BpfMap> Maps { get; }

    /// <summary>
    /// Gives maps their storage: what an earlier agent, or an earlier object of the same name, has when there is something, else new. Where maps differ in size or layout, entries are carried
    /// over; programs in force keep the maps of before until they are replaced. All maps, or none.
    /// </summary>
    /// <param name="maps">The maps.</param>
    /// <param name="ruleOf">What becomes of the entries of a map that differs.</param>
    /// <exception cref="Skep.Bpf.BpfException">The kernel refused.</exception>
    /// <exception cref="LayoutException">Entries cannot be carried over; nothing was changed.</exception>
    void Open(IEnumerable<BpfMap> maps, Func<BpfMap, MapMigration> ruleOf);

    /// <summary>Finds out whether <see cref="Open"/> would be refused, by doing all of it and undoing it again: nothing is changed, and for a moment the memory of both is used.</summary>
    /// <param name="maps">The maps; they have no storage afterwards.</param>
    /// <param name="ruleOf">What becomes of the entries of a map that differs.</param>
    /// <exception cref="Skep.Bpf.BpfException">The kernel refused.</exception>
    /// <exception cref="LayoutException">Entries cannot be carried over.</exception>
    void Rehearse(IEnumerable<BpfMap> maps, Func<BpfMap, MapMigration> ruleOf);

    /// <summary>Forgets maps that no program in force uses any more since others took their places; to be called after programs were attached, and now and then.</summary>
    void Settle();

    /// <summary>Does what takes time about programs that will be attached, on all processors; what goes wrong shows when they are.</summary>
    void Prepare(IReadOnlyCollection<BpfProgram> programs);

    /// <summary>Runs a program at a hook from now on. A program there already is replaced in one step: no packet sees neither or both.</summary>
    /// <exception cref="Skep.Bpf.BpfException">The kernel refused.</exception>
    void Attach(Hook hook, BpfProgram program);

    /// <summary>Ends the program at a hook; nothing happens when there is none.</summary>
    void Detach(Hook hook);

    /// <summary>A program is not wanted at any hook any more: lets go of what was compiled from it.</summary>
    void Forget(BpfProgram program);

    /// <summary>Ends all programs and forgets all maps, also those that an earlier agent left behind.</summary>
    void RemoveAll();
}

/// <summary>A program at a hook.</summary>
/// <param name="Hook">Where.</param>
/// <param name="Program">Its name.</param>
/// <param name="Instructions">Length of the code; 0 under the twin, which runs the machine code of the process.</param>
/// <param name="Mode">How it is attached, for example <c>native</c> or <c>generic</c>; empty when there is only one way.</param>
public sealed record AttachedProgram(Hook Hook, string Program, int Instructions, string Mode);
