using Skep.Bpf.Maps;

namespace Skep.Bpf.Programs;

/// <summary>A table of functions ready to be loaded (struct_ops): its programs and the values of its other members.</summary>
public sealed class StructOpsSpec
{
    /// <summary>Name of the object, for messages and the map.</summary>
    public required string Name { get; init; }

    /// <summary>Name of the kernel's struct.</summary>
    public required string Struct { get; init; }

    /// <summary>The programs, by the member they are for.</summary>
    public required IReadOnlyList<StructOpsProgram> Programs { get; init; }

    /// <summary>Values of members that are no functions, in the kernel's byte order and size.</summary>
    public required IReadOnlyList<StructOpsValue> Values { get; init; }

    /// <summary>All maps the programs refer to, each once.</summary>
    public IReadOnlyList<BpfMap> Maps => [.. Programs.SelectMany(p => p.Program.Maps).Distinct()];
}

/// <summary>A program of a table.</summary>
/// <param name="Member">Member of the kernel's struct.</param>
/// <param name="Program">The program.</param>
public sealed record StructOpsProgram(string Member, ProgramSpec Program);

/// <summary>A value of a table.</summary>
/// <param name="Member">Member of the kernel's struct.</param>
/// <param name="Bytes">Its first bytes; the rest is zero.</param>
public sealed record StructOpsValue(string Member, byte[] Bytes);
