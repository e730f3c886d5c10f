using Skep.Bpf.Links;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Elf;

/// <summary>One place of a USDT probe: a probe that is inlined in several functions has several, each with its own places for the arguments.</summary>
/// <param name="provider">Who provides the probe.</param>
/// <param name="name">Name of the probe.</param>
/// <param name="point">Where it is.</param>
/// <param name="arguments">Where the arguments are, for example <c>-4@%edi 8@-8(%rbp) 4@$7</c>.</param>
public sealed class UsdtSite(string provider, string name, UprobePoint point, string arguments)
{
    private readonly string[] _arguments = arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Who provides the probe.</summary>
    public string Provider { get; } = provider;

    /// <summary>Name of the probe.</summary>
    public string Name { get; } = name;

    /// <summary>Where it is.</summary>
    public UprobePoint Point { get; } = point;

    /// <summary>Where the arguments are, as the file says it.</summary>
    internal string Arguments { get; } = arguments;

    /// <summary>Number of arguments.</summary>
    public int ArgumentCount => _arguments.Length;

    /// <summary>How a program reads an argument; keep it in a readonly field of the program.</summary>
    /// <param name="index">Number of the argument, from 0.</param>
    /// <exception cref="NotSupportedException">The argument stands where this library cannot read it.</exception>
    public UsdtArgument Argument(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, _arguments.Length);
        return UsdtArgument.Parse(_arguments[index]);
    }
}
