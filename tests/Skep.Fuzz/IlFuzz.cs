using System.Reflection;
using Skep.Bpf.Compiler;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Programming;

namespace Skep.Fuzz;

/// <summary>Mutated method bodies through the compiler: a program or a <see cref="CompileException"/>, nothing else, in bounded time and memory.</summary>
internal static class IlFuzz
{
    /// <summary>
    /// Allocated by one compilation in all, most of it for moments: what stands in for its time, and is the same on every machine. The compiler itself
    /// ends a program that grows beyond what a kernel takes.
    /// </summary>
    private const long MostBytes = 1L << 30;

    /// <summary>What a compilation may hold at once.</summary>
    private const long MostHeld = 256L << 20;

    private const long Large = 64L << 20; // allocated, from which on a collection has seen the compilation from inside

    /// <summary>A mutant takes milliseconds; whatever takes the processor for this long does not end.</summary>
    private static readonly TimeSpan s_hang = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(10);

    public static bool Run(FuzzOptions options)
    {
        var seeds = IlSeeds.All.Select(static p => (Program: p, Bodies: BodiesOf(p))).ToList();
        var all = seeds.SelectMany(static s => s.Bodies.Values).ToList();
        var random = new SplitMix(options.Seed);
        var mutator = new IlMutator(options.Seed + 1, all);
        var progress = new Progress("il", options.Count, "mutants");
        long compiled = 0, refused = 0, faults = 0, most = 0;
        Action? describe = null;
        long current = -1;
        var (looked, begun) = (current, TimeSpan.Zero);
        using var watch = new Timer(
            _ =>
            {
                // Time of the processor: a process that is not let run is not one that hangs.
                var used = Environment.CpuUsage.TotalTime;
                if (Interlocked.Read(ref current) is var now && now != looked)
                {
                    (looked, begun) = (now, used);
                }
                else if (used - begun > s_hang)
                {
                    Console.Error.WriteLine($"il: a compilation does not end; seed {options.Seed}");
                    describe?.Invoke();
                    Environment.Exit(1);
                }
            },
            null, s_look, s_look);
        for (var number = -options.Skip; number < options.Count; number++)
        {
            var (program, bodies) = seeds[random.Below(seeds.Count)];
            var method = bodies.Keys.ElementAt(random.Below(bodies.Count));
            var mutant = mutator.Mutate(bodies[method]);
            if (number < 0)
            {
                continue;
            }

            Interlocked.Exchange(ref current, number);
            var target = new CompileTarget { IsaLevel = 3 + (int)(number & 1), BodyOf = m => m == method ? mutant : null };
            describe = () => Console.Error.WriteLine($"il: {program.Name} {method.DeclaringType}.{method.Name} mutant {number}: {Convert.ToHexString(mutant)}");
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                ProgramCompiler.Compile(program, target);
                compiled++;
            }
            catch (CompileException e)
            {
                refused++;
                faults += e.Id == Rule.Internal ? 1 : 0;
            }
            catch (Exception e)
            {
                Console.Error.WriteLine(e);
                describe();
                return false;
            }

            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            var held = allocated > Large ? GC.GetGCMemoryInfo().HeapSizeBytes : 0;
            most = Math.Max(most, allocated);
            if (allocated > MostBytes || held > MostHeld)
            {
                Console.Error.WriteLine($"il: {allocated} bytes allocated for one mutant, {held} held");
                describe();
                return false;
            }

            if ((number & 0xfff) == 0)
            {
                progress.Report(number);
            }
        }

        progress.Finish(options.Count, $"{compiled} compiled, {refused} refused, of these {faults} by the compiler's own checks; at most {most >> 20} MB allocated for one");
        return true;
    }

    /// <summary>The bodies that compiling the program reads.</summary>
    private static Dictionary<MethodBase, byte[]> BodiesOf(BpfProgram program)
    {
        var bodies = new Dictionary<MethodBase, byte[]>();
        ProgramCompiler.Compile(program, new CompileTarget
        {
            BodyOf = m =>
            {
                bodies[m] = m.GetMethodBody()!.GetILAsByteArray()!;
                return null;
            },
        });
        return bodies;
    }
}
