using Skep.Bpf.Maps;

namespace Skep.Bpf.Elf;

/// <summary>What a map of maps or an array of programs holds from the start.</summary>
/// <param name="Target">The map.</param>
/// <param name="Index">Its key, as an index.</param>
/// <param name="Map">The map it holds there, or null.</param>
/// <param name="Program">Name of the program it holds there, or null.</param>
public sealed record MapInitialValue(UntypedMap Target, uint Index, UntypedMap? Map, string? Program);
