using System.Reflection;

namespace Skep.Bpf.Compiler.Ir;

/// <summary>How a function of a program is declared, for its type information.</summary>
/// <param name="Method">The C# method.</param>
/// <param name="Result">C# type of the result; void for none.</param>
/// <param name="Parameters">What is passed in registers: C# name and type.</param>
/// <param name="IsGlobal">The kernel verifies it by itself, for any arguments.</param>
internal sealed record FunctionSignature(MethodBase Method, Type Result, IReadOnlyList<(string Name, Type Type)> Parameters, bool IsGlobal);
