using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Compiler;

/// <summary>Compiles a program object to eBPF.</summary>
public static class ProgramCompiler
{
    /// <summary>Compiles the <c>Run</c> method of <paramref name="program"/>, frozen as it is now.</summary>
    /// <exception cref="CompileException">The method uses what a kernel program cannot; the message names file, line and what to write instead.</exception>
    public static ProgramSpec Compile(BpfProgram program, CompileTarget? target = null) => throw new CompileException("not built yet");
}

/// <summary>A method cannot become a kernel program.</summary>
public sealed class CompileException(string message) : Exception(message);
