using System.Runtime.CompilerServices;
using Skep.Benchmarks.Compiler;
using Skep.Benchmarks.Compiler.Suite;
using Skep.Bpf.Asm;
using Skep.Bpf.Compiler;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Edge;
using Skep.Engine;
using Skep.Flows;
using Skep.Samples.Programs;

namespace Skep.KernelTests.Compiler;

/// <summary>Programs for an instruction set level use none of a later one, and do the same in it.</summary>
public class InstructionSetTests
{
    private static readonly Func<Algorithm>[] s_suite =
    [
        static () => new PacketCounter(), static () => new PortFilter(), static () => new LpmBlockList(), static () => new TokenBucket(), static () => new SynCookie(),
        static () => new Balancer(), static () => new Conntrack(), static () => new FlowAccounting(), static () => new DnsName(), static () => new DfaMatcher(),
        static () => new Reno(), static () => new DecisionTree(),
    ];

    [KernelFact]
    public void The_suite_of_algorithms_does_the_same_at_every_level()
    {
        var contenders = new[] { 3, 1, 2, 4 }.Select(static level => new Contender($"level {level}", a => Compile(a, level))).ToArray();
        Assert.All(s_suite, create => Agreement.Check(create, contenders));
    }

    [KernelFact]
    public void The_suite_of_algorithms_does_at_every_level_what_it_does_in_the_clr() => Assert.All(
        s_suite.Where(static create => create().TimedMaps.Count == 0 && create().Samples.All(static s => s.AdvanceNanoseconds == 0)),
        static create => Differential.Check(create, create().Samples.Select(static s => s.Packet), prepare: static a => a.Fill()));

    [KernelFact]
    public void The_platforms_programs_load_at_every_level()
    {
        var options = new EdgeOptions();
        (Func<BpfProgram> Create, int From)[] programs =
        [
            // The table of connections compares and exchanges, which earlier levels cannot say; kernels have it from 5.12 on.
            (() => new EdgeProgram(new EdgeMaps(options), options), 3),
            (static () => new FlowProgram(new FlowMaps(), FlowHook.Ingress), 1), (static () => new FlowProgram(new FlowMaps(), FlowHook.Egress), 1),
            (static () => new DropProgram(new KernelEventMaps("events")), 1), (static () => new RetransmitProgram(new KernelEventMaps("events")), 1),
            (static () => new SocketStateProgram(new KernelEventMaps("events")), 1),
        ];
        foreach (var (create, from) in programs)
        {
            for (var level = from; level <= 4; level++)
            {
                var spec = Compile(create(), level, KernelTarget.Running);
                try
                {
                    using var loaded = ProgramLoader.Load(spec);
                    Assert.True(loaded.VerifiedInstructions > 0, $"{spec.Name} at level {level}");
                }
                finally
                {
                    foreach (var map in spec.Maps)
                    {
                        map.Dispose();
                    }
                }
            }
        }
    }

    [KernelFact]
    public void Samples_compile_at_every_level()
    {
        var types = typeof(CountPackets).Assembly.GetTypes()
            .Where(static t => t.Namespace == typeof(CountPackets).Namespace && t.IsSubclassOf(typeof(BpfProgram)) && !t.IsAbstract && t != typeof(SumProbeArgument)).ToArray();
        Assert.InRange(types.Length, 25, int.MaxValue);
        foreach (var type in types)
        {
            var constructor = Assert.Single(type.GetConstructors());
            for (var level = 1; level <= 4; level++)
            {
                object[] arguments = [.. constructor.GetParameters().Select(static p => p.ParameterType == typeof(string) ? p.Name == "section" ? "lwt_in" : "tcp_connect" : RuntimeHelpers.GetUninitializedObject(p.ParameterType))];
                Compile((BpfProgram)constructor.Invoke(arguments), level, KernelTarget.Running);
            }
        }
    }

    /// <summary>Compiles, and finds no instruction of a later level in the code.</summary>
    private static ProgramSpec Compile(BpfProgram program, int level, CompileTarget? target = null)
    {
        var spec = ProgramCompiler.Compile(program, (target ?? new CompileTarget()) with { IsaLevel = level });
        Assert.All(spec.Instructions, i => Assert.True(InstructionSet.LevelOf(i) <= level, $"{spec.Name}: {Disassembler.Disassemble(spec)}"));
        return spec;
    }
}
