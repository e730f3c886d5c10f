using Microsoft.Extensions.Logging.Abstractions;
using Skep.Agent;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Engine;

namespace Skep.Tests.Agent;

/// <summary>What becomes of a hook whose new program is refused.</summary>
public class HookRefusalTests
{
    private static readonly Hook s_hook = new(HookKind.Xdp, "eth9", 9);
    private static readonly EdgeOptions s_options = new() { RingSize = 251, MaxServices = 8, MaxBackends = 16, MaxConnections = 64 };

    [Fact]
    public void A_program_that_is_refused_where_one_runs_says_nothing_of_the_hook()
    {
        var datapath = new StrictDatapath();
        var hooks = new HookReconciler(datapath, TimeProvider.System, NullLogger.Instance);
        var first = Program();
        hooks.Reconcile(Wanted(first), static _ => false);
        Assert.Empty(hooks.Refusals);

        datapath.Refusal = new CompileException("SKEP0007", "too much stack", default);
        hooks.Reconcile(Wanted(Program()), static _ => false);
        Assert.Equal(new HookRefusal(datapath.Refusal.Message, KeepsFormer: true), Assert.Single(hooks.Refusals).Value);
        Assert.Equal(s_hook, Assert.Single(datapath.Attached).Hook);
    }

    [Fact]
    public void One_that_is_refused_where_none_runs_does()
    {
        var datapath = new StrictDatapath { Refusal = new NotSupportedException("no XDP here") };
        var hooks = new HookReconciler(datapath, TimeProvider.System, NullLogger.Instance);
        hooks.Reconcile(Wanted(Program()), static _ => false);
        Assert.Equal(new HookRefusal("no XDP here", KeepsFormer: false), Assert.Single(hooks.Refusals).Value);
    }

    private static Dictionary<Hook, BpfProgram> Wanted(BpfProgram program) => new() { [s_hook] = program };

    private static EdgeProgram Program() => new(new EdgeMaps(s_options), s_options);

    // A kernel that takes programs, or refuses them with a reason.
    private sealed class StrictDatapath : IDatapath
    {
        private readonly Dictionary<Hook, AttachedProgram> _attached = [];

        public Exception? Refusal { get; set; }

        public string Name => "strict";

        public IReadOnlyList<string> Notices => [];

        public IReadOnlyList<AttachedProgram> Attached => [.. _attached.Values];

        public IReadOnlyList<BpfMap> Maps => [];

        public void Open(IEnumerable<BpfMap> maps, Func<BpfMap, MapMigration> ruleOf)
        {
        }

        public void Rehearse(IEnumerable<BpfMap> maps, Func<BpfMap, MapMigration> ruleOf)
        {
        }

        public void Settle()
        {
        }

        public void Prepare(IReadOnlyCollection<BpfProgram> programs)
        {
        }

        public void Attach(Hook hook, BpfProgram program) => _attached[hook] = Refusal is null ? new AttachedProgram(hook, program.Name, 1, "") : throw Refusal;

        public void Detach(Hook hook) => _attached.Remove(hook);

        public void Forget(BpfProgram program)
        {
        }

        public void RemoveAll() => _attached.Clear();

        public void Dispose() => RemoveAll();
    }
}
