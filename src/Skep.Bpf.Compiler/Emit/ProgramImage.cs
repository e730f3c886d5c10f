using Skep.Bpf.Asm;
using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>The main function and all it calls, one after the other.</summary>
internal sealed class ProgramImage
{
    private const int MayLoopFrame = 16;

    public List<Instruction> Code { get; } = [];

    public List<MapReference> Maps { get; } = [];

    public List<SourceLine> Lines { get; } = [];

    public List<FunctionEntry> Functions { get; } = [];

    public List<KernelFunctionReference> KernelFunctions { get; } = [];

    /// <summary>Gives each function registers and a frame, writes them, and resolves the calls between them.</summary>
    public static ProgramImage Build(Function main, CompileTarget target)
    {
        var image = new ProgramImage();
        var starts = new Dictionary<Function, int>();
        var references = new List<(int Slot, Function Target)>();
        var frames = new Dictionary<Function, int>();

        // What is called is asked of the code that is left: a call in a case that cannot be is written by nobody, and the kernel takes no function that none calls.
        var graph = CallGraph.Of(main, function =>
        {
            var position = function.Position;
            var machine = Selection.Run(function, target);
            OldInstructions.Run(machine);
            RegisterAllocator.Run(machine, position);
            DeadSpills.Run(machine);
            ShortEdges.Run(machine);
            StackLayout.Run(machine, position);
            frames.Add(function, machine.FrameSize + (machine.MayLoop ? MayLoopFrame : 0));
            starts.Add(function, image.Code.Count);
            var code = Emitter.Run(machine);
            image.Append(function, code, references);
            return code.References.ConvertAll(static r => r.Target);
        });

        StackLedger.Check(graph, frames);
        foreach (var (slot, callee) in references)
        {
            image.Code[slot] = image.Code[slot] with { Immediate = starts[callee] - slot - 1 };
        }

        return image;
    }

    private void Append(Function function, FunctionCode code, List<(int Slot, Function Target)> references)
    {
        var start = Code.Count;
        Functions.Add(FunctionTypes.Describe(function, start));
        Code.AddRange(code.Code);

        // Loops, not queries: those over structs cannot be compiled ahead of time.
        foreach (var map in code.Maps)
        {
            Maps.Add(map with { Slot = map.Slot + start });
        }

        foreach (var line in code.Lines)
        {
            Lines.Add(line with { Slot = line.Slot + start });
        }

        foreach (var kernelFunction in code.KernelFunctions)
        {
            KernelFunctions.Add(kernelFunction with { Slot = kernelFunction.Slot + start });
        }

        foreach (var (slot, target) in code.References)
        {
            references.Add((slot + start, target));
        }
    }
}
