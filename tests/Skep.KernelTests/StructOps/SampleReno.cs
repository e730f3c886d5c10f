using System.Runtime.CompilerServices;
using Skep.Bpf.Programming;
using Skep.KernelTests.Surroundings;

namespace Skep.KernelTests.StructOps;

/// <summary>The class of <c>samples/reno.cs</c>, as it stands there.</summary>
internal static class SampleReno
{
    private static readonly Lazy<Type> s_type = new(static () => Compile());

    public static TcpCongestionControl New() => (TcpCongestionControl)Activator.CreateInstance(s_type.Value)!;

    private static Type Compile([CallerFilePath] string here = "")
    {
        var lines = File.ReadAllLines(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "..", "samples", "reno.cs"));
        var begin = Array.FindIndex(lines, static l => l.StartsWith("public sealed unsafe class Reno", StringComparison.Ordinal));
        var usings = lines.Where(static l => l.StartsWith("using ", StringComparison.Ordinal) && l.EndsWith(';') && !l.Contains('=', StringComparison.Ordinal));
        return CSharpSource.Compile(string.Join('\n', ["global using System;", .. usings, .. lines[begin..]])).GetType("Reno")!;
    }
}
