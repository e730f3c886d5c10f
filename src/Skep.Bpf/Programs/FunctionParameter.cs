namespace Skep.Bpf.Programs;

/// <summary>What the kernel is told of a parameter or result of a function in a program.</summary>
public readonly record struct FunctionParameter
{
    private FunctionParameter(string name, FunctionParameterKind kind, int size, bool isSigned, string typeName) =>
        (Name, Kind, Size, IsSigned, TypeName) = (name, kind, size, isSigned, typeName);

    /// <summary>Name, empty for results.</summary>
    public string Name { get; }

    /// <summary>What it is.</summary>
    public FunctionParameterKind Kind { get; }

    /// <summary>Bytes of a number, or of the struct that is pointed to; 0 when that is unknown.</summary>
    public int Size { get; }

    /// <summary>Whether a number has a sign.</summary>
    public bool IsSigned { get; }

    /// <summary>Name of the struct that is pointed to, empty when unknown.</summary>
    public string TypeName { get; }

    /// <summary>A number of 1, 2, 4 or 8 bytes.</summary>
    public static FunctionParameter Number(string name, int size, bool isSigned) => new(name, FunctionParameterKind.Number, size, isSigned, "");

    /// <summary>The context of the program.</summary>
    public static FunctionParameter Context(string name) => new(name, FunctionParameterKind.Context, 0, false, "");

    /// <summary>The address of a struct; of anything when <paramref name="size"/> is 0.</summary>
    public static FunctionParameter Memory(string name, string typeName, int size) => new(name, FunctionParameterKind.Memory, size, false, typeName);
}

/// <summary>What a parameter of a function is.</summary>
public enum FunctionParameterKind
{
    /// <summary>An integer.</summary>
    Number,
    /// <summary>The program's context.</summary>
    Context,
    /// <summary>An address.</summary>
    Memory,
}
