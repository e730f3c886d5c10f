namespace Skep.Bpf.Compiler.Frontend;

/// <summary>An enumerator over a frozen array, known at translation.</summary>
/// <param name="Array">The array; compared by identity.</param>
/// <param name="Index">Index of the current element, -1 before the first.</param>
internal sealed record ArrayCursor(Array Array, int Index);
