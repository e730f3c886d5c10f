using Skep.Bpf.Compiler.Ir;

namespace Skep.Bpf.Compiler.Passes;

/// <summary>One step of the pipeline.</summary>
internal interface IPass
{
    /// <summary>What it is for, in one sentence; shown by the dump.</summary>
    string Why { get; }

    /// <summary>Transforms the function; true when anything changed.</summary>
    bool Run(Function function);
}
