namespace Skep.Bpf.Compiler.Ir;

/// <summary>What a caller must know of a function when it optimises around a call.</summary>
/// <param name="Arguments">One per parameter.</param>
/// <param name="ClobbersPacket">Packet pointers are dead after the call.</param>
/// <param name="WritesContext">It may write fields of the context.</param>
/// <param name="WritesMemory">It may write packet bytes, map values or what pointers in memory lead to.</param>
/// <param name="Result">Where a pointer that is returned points.</param>
internal sealed record FunctionEffects(HelperArgument[] Arguments, bool ClobbersPacket, bool WritesContext, bool WritesMemory, Provenance Result);
