using Skep.Bpf.Btf;

namespace Skep.Bpf.Maps;

/// <summary>Types of a map's keys and values among those of its object.</summary>
/// <param name="Btf">The object's types.</param>
/// <param name="Key">Number of the key's type; 0 for global data.</param>
/// <param name="Value">Number of the value's type.</param>
internal sealed record MapTypes(ObjectBtf Btf, uint Key, uint Value);
