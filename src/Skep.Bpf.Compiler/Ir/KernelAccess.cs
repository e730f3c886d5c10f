namespace Skep.Bpf.Compiler.Ir;

/// <summary>What is known about a load from or store to a kernel struct: which struct, and what the loaded pointer points to.</summary>
/// <param name="Name">Struct and field, for messages.</param>
/// <param name="PointsTo">Number of the struct that the loaded pointer points to; null for numbers and other pointers.</param>
internal sealed record KernelAccess(string Name, uint? PointsTo = null)
{
    public override string ToString() => Name;
}
