using Skep.Bpf.Asm;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>The instructions of one function; slots count from its start.</summary>
/// <param name="Code">The instructions.</param>
/// <param name="Maps">Wide loads of maps.</param>
/// <param name="Lines">Source positions.</param>
/// <param name="KernelFunctions">Calls of kernel functions.</param>
/// <param name="References">Calls of functions and loads of their addresses, whose immediates are the distance to the function.</param>
internal sealed record FunctionCode(List<Instruction> Code, List<MapReference> Maps, List<SourceLine> Lines, List<KernelFunctionReference> KernelFunctions, List<(int Slot, Function Target)> References);
