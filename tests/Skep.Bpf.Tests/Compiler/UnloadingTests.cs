using System.Runtime.CompilerServices;
using System.Runtime.Loader;
using Skep.Bpf.Compiler;
using Skep.Fuzz.Programs;

namespace Skep.Bpf.Tests.Compiler;

/// <summary>What is remembered of an assembly does not keep it: scripts and plug-ins come and go.</summary>
public class UnloadingTests
{
    private const int MostCollections = 20;

    [Fact]
    public void An_assembly_whose_programs_were_compiled_and_run_can_be_unloaded()
    {
        var context = CompileAndRun();
        for (var i = 0; i < MostCollections && context.IsAlive; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.False(context.IsAlive);
    }

    // Not inlined: nothing of it may be left on the stack.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WeakReference CompileAndRun()
    {
        var types = new ProgramGenerator(11).Generate(4);
        Assert.All(types, static t => Assert.Equal("", ProgramTrial.Run(t, new CompileTarget(), inKernel: false).Problem));
        return new WeakReference(AssemblyLoadContext.GetLoadContext(types[0].Assembly));
    }
}
