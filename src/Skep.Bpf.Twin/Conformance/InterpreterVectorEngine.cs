using Skep.Bpf.Programs;
using Skep.Bpf.Twin.Interpretation;

namespace Skep.Bpf.Twin.Conformance;

/// <summary>Runs conformance vectors in the bytecode interpreter, on plain memory.</summary>
public sealed class InterpreterVectorEngine : VectorEngine
{
    /// <inheritdoc/>
    public override string Name => "interpreter";

    /// <inheritdoc/>
    protected override ulong? Execute(ConformanceVector vector, out string? refusal)
    {
        try
        {
            using var twin = new TwinEngine();
            refusal = null;
            return new BytecodeInterpreter(vector.Code.Build("vector", ProgramType.Unspec), twin).RunMemory(vector.Memory);
        }
        catch (InterpreterFaultException e)
        {
            refusal = e.Message;
            return null;
        }
    }
}
