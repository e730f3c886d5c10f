using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Compiler.Passes;

namespace Skep.Bpf.Compiler;

/// <summary>The passes in order, each with its reason; the form is verified after each.</summary>
internal static class Pipeline
{
    private const int MostRounds = 8;

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

        // What one pass finds helps the others; two or three rounds are usual.
        for (var round = 0; round < MostRounds; round++)
        {
            var changed = Apply(new Simplification());
            changed |= Apply(new ControlFlow());
            changed |= Apply(new CommonSubexpressions());
            changed |= Apply(new MemoryForwarding());
            changed |= Apply(new DeadStores());
            changed |= Apply(new DeadCode());
            changed |= Apply(new StackSplitting());
            changed |= Apply(new JumpThreading());
            changed |= Apply(new Promotion(readByHelpers: true));
            changed |= Apply(new BoundsChecks(target));
            if (!changed)
            {
                break;
            }
        }

        if (Apply(new HiddenBounds()))
        {
            Apply(new ControlFlow());
            Apply(new DeadCode());
        }

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
        target.Dump?.Invoke("optimised", IrPrinter.Print(function));

        bool Apply(IPass pass)
        {
            var changed = pass.Run(function);
            if (changed)
            {
                var name = pass.GetType().Name;
                IrVerifier.Check(function, name);
                target.Dump?.Invoke($"{name} ({pass.Why})", IrPrinter.Print(function));
            }

            return changed;
        }
    }
}
