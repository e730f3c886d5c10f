using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Compiler.Passes;

namespace Skep.Bpf.Compiler;

/// <summary>
/// The passes in order, each with its reason. The form is verified at the start and at the end, and after each pass where faults of the compiler are
/// looked for: in tests, and where somebody reads along.
/// </summary>
internal static class Pipeline
{
    /// <summary>The switch of the process that has the form verified after each pass; a fifteenth of the time.</summary>
    public const string CheckEveryPass = "Skep.Bpf.Compiler.CheckEveryPass";

    private const int MostRounds = 8;

    private static readonly bool s_checksEveryPass = AppContext.TryGetSwitch(CheckEveryPass, out var isOn) && isOn;

    public static void Run(Function function, CompileTarget target)
    {
        IrVerifier.Check(function, "translation");
        target.Dump?.Invoke("translated", IrPrinter.Print(function));

        // Before promotion: the shape of memory is still that of the C# locals.
        Apply(new ControlFlow());
        Apply(new DeadCode());
        Apply(new StackSplitting());
        Apply(new LoopUnrolling());
        Apply(new TailDuplication());
        Apply(new Promotion(readByHelpers: false));
        Repeat(
        [
            new Simplification(), new ControlFlow(), new CommonSubexpressions(), new MemoryForwarding(), new DeadStores(), new DeadCode(), new StackSplitting(),
            new JumpThreading(), new Promotion(readByHelpers: true), new BoundsChecks(target),
        ]);

        if (Apply(new HiddenBounds()))
        {
            Apply(new ControlFlow());
            Apply(new DeadCode());
        }

        Apply(new LongCounts(target));
        Apply(new IdleMasks());
        StalePointers.Check(function);
        TailCalls.Check(function);
        References.Check(function);
        StackObjects.Check(function);
        if (target.KernelBtf is { } kernel)
        {
            Apply(new KernelReads(kernel));
        }

        // Undoes what simplification prefers, so it comes last.
        Apply(new AddressReuse());
        if (target.IsaLevel < 4)
        {
            Apply(new SignedDivision());
            Apply(new DeadCode());
        }

        Apply(new StackAlignment());
        Apply(new ConstantPool());
        IrVerifier.Check(function, $"the passes (the switch {CheckEveryPass} says which)");
        target.Dump?.Invoke("optimised", IrPrinter.Print(function));

        // What one pass finds helps the others; two or three rounds are usual.
        void Repeat(ReadOnlySpan<IPass> passes)
        {
            // How much had changed when each found nothing to do: while that is all, it would find nothing again.
            var changes = 0;
            Span<int> idle = stackalloc int[passes.Length];
            idle.Fill(-1);
            for (var round = 0; round < MostRounds; round++)
            {
                var before = changes;
                for (var i = 0; i < passes.Length; i++)
                {
                    if (idle[i] == changes)
                    {
                        continue;
                    }

                    if (Apply(passes[i]))
                    {
                        changes++;
                    }
                    else
                    {
                        idle[i] = changes;
                    }
                }

                if (changes == before)
                {
                    return;
                }
            }
        }

        bool Apply(IPass pass)
        {
            var changed = pass.Run(function);
            if (changed && (s_checksEveryPass || target.Dump is not null))
            {
                var name = pass.GetType().Name;
                IrVerifier.Check(function, name);
                target.Dump?.Invoke($"{name} ({pass.Why})", IrPrinter.Print(function));
            }

            return changed;
        }
    }
}
