using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>A program that is called like a function: it adds up in the kernel what the caller gives.</summary>
public sealed class AddNumbers : SyscallProgram<AddNumbers.Arguments>
{
    public Global<ulong> Calls { get; } = new("calls");

    public override int Run(ref Arguments context)
    {
        Interlocked.Increment(ref Calls.Value);
        context.Sum = context.Left + context.Right;
        return 7;
    }

    /// <summary>Loads it, calls it once and returns the sum.</summary>
    public ulong Call(ulong left, ulong right)
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        var arguments = new Arguments { Left = left, Right = right };
        var result = program.Call(ref arguments);
        return result == 7 ? arguments.Sum : throw new InvalidOperationException($"The program returned {result}.");
    }

    public struct Arguments
    {
        public ulong Left, Right, Sum;
    }
}
