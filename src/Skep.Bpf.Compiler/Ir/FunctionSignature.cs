using System.Reflection;

namespace Skep.Bpf.Compiler.Ir;

/// <summary>How a function of a program is declared, for its type information.</summary>
/// <param name="Method">The C# method.</param>
/// <param name="Result">C# type of the result; void for none.</param>
/// <param name="Parameters">What is passed in registers: C# name and type.</param>
/// <param name="Use">Who calls it.</param>
internal sealed record FunctionSignature(MethodBase Method, Type Result, IReadOnlyList<(string Name, Type Type)> Parameters, FunctionUse Use);

/// <summary>Who calls a function.</summary>
internal enum FunctionUse
{
    /// <summary>The program; the verifier walks it at each call.</summary>
    Static,

    /// <summary>The program; the verifier walks it once, for any arguments.</summary>
    Global,

    /// <summary>A helper, while the program waits in it: its frame comes on top of the program's.</summary>
    Callback,

    /// <summary>The kernel, later, on a stack of its own.</summary>
    LaterCallback,
}
