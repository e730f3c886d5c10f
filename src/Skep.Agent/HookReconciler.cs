using Microsoft.Extensions.Logging;
using Skep.Bpf.Programming;
using Skep.Engine;

namespace Skep.Agent;

/// <summary>Why a program is not at a hook.</summary>
/// <param name="Message">The kernel's or the compiler's reason.</param>
/// <param name="KeepsFormer">Whether the program from before still runs there.</param>
internal sealed record HookRefusal(string Message, bool KeepsFormer);

/// <summary>
/// Makes the programs at the hooks those that are wanted. A hook that refuses is reported and tried again later; the others work on.
/// Not for concurrent use.
/// </summary>
internal sealed partial class HookReconciler(IDatapath datapath, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan s_retry = TimeSpan.FromSeconds(30);

    private readonly Dictionary<Hook, BpfProgram> _current = [];
    private readonly Dictionary<Hook, (BpfProgram Program, HookRefusal Refusal, long At)> _refused = [];

    /// <summary>Why hooks have no program, or not the one that is wanted.</summary>
    public IReadOnlyDictionary<Hook, HookRefusal> Refusals { get; private set; } = new Dictionary<Hook, HookRefusal>();

    /// <summary>
    /// Attaches, replaces and detaches until <paramref name="wanted"/> is what there is. Hooks in <paramref name="held"/> are left alone.
    /// Returns whether programs were compiled.
    /// </summary>
    public bool Reconcile(IReadOnlyDictionary<Hook, BpfProgram> wanted, Predicate<Hook> held)
    {
        foreach (var hook in _current.Keys.Where(h => !wanted.ContainsKey(h)).ToArray())
        {
            _current.Remove(hook);
        }

        foreach (var hook in _refused.Keys.Where(h => !wanted.ContainsKey(h)).ToArray())
        {
            _refused.Remove(hook);
        }

        // One whose interface was renamed is attached again in its place, which costs no packet and tells the new name.
        var names = datapath.Attached.ToDictionary(a => a.Hook, a => a.Hook.Target);
        var missing = wanted
            .Where(w => !ReferenceEquals(_current.GetValueOrDefault(w.Key), w.Value) || names.GetValueOrDefault(w.Key) != w.Key.Target)
            .Where(w => MayTry(w.Key, w.Value)).ToArray();
        if (missing.Length > 0)
        {
            datapath.Prepare([.. missing.Select(m => m.Value).Distinct().Except(_current.Values)]);
        }

        foreach (var (hook, program) in missing)
        {
            Attach(hook, program);
        }

        // Last, so that an interface whose hook changes is not open in between: for a moment both may see a packet, and the second leaves it alone.
        foreach (var attached in datapath.Attached.Select(a => a.Hook).Where(h => !wanted.ContainsKey(h) && !held(h)))
        {
            datapath.Detach(attached);
            LogDetached(logger, attached);
        }

        Refusals = _refused.ToDictionary(r => r.Key, r => r.Value.Refusal);
        return missing.Length > 0;
    }

    private bool MayTry(Hook hook, BpfProgram program) =>
        !_refused.TryGetValue(hook, out var refusal) || !ReferenceEquals(refusal.Program, program) || time.GetElapsedTime(refusal.At) > s_retry;

    private void Attach(Hook hook, BpfProgram program)
    {
        try
        {
            datapath.Attach(hook, program);
            _current[hook] = program;
            _refused.Remove(hook);
            LogAttached(logger, program.Name, hook);
        }
        catch (Exception e) when (e is Bpf.BpfException or Bpf.Compiler.CompileException or NotSupportedException)
        {
            if (!_refused.TryGetValue(hook, out var before) || before.Refusal.Message != e.Message)
            {
                LogRefused(logger, program.Name, hook, e.Message);
            }

            _refused[hook] = (program, new(e.Message, datapath.Attached.Any(a => a.Hook == hook)), time.GetTimestamp());
        }
    }

    [LoggerMessage(LogLevel.Information, "{Program} runs at {Hook}")]
    private static partial void LogAttached(ILogger logger, string program, Hook hook);

    [LoggerMessage(LogLevel.Information, "Detached from {Hook}")]
    private static partial void LogDetached(ILogger logger, Hook hook);

    [LoggerMessage(LogLevel.Warning, "{Program} cannot run at {Hook}: {Message}")]
    private static partial void LogRefused(ILogger logger, string program, Hook hook, string message);
}
