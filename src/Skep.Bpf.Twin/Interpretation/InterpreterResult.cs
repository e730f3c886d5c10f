using Skep.Bpf.Programming;

namespace Skep.Bpf.Twin.Interpretation;

/// <summary>What a program's bytecode did with a packet.</summary>
/// <param name="returnValue">R0 at the end.</param>
/// <param name="executed">Instructions executed.</param>
/// <param name="mark">The packet's mark afterwards.</param>
/// <param name="packet">The packet as the program left it.</param>
public readonly ref struct InterpreterResult(uint returnValue, long executed, uint mark, ReadOnlySpan<byte> packet)
{
    /// <summary>The low 32 bits of R0 at the end, which are what the kernel looks at.</summary>
    public uint ReturnValue { get; } = returnValue;

    /// <summary>The return value as an XDP verdict.</summary>
    public XdpAction XdpAction => (XdpAction)ReturnValue;

    /// <summary>The return value as a TC verdict.</summary>
    public TcAction TcAction => (TcAction)ReturnValue;

    /// <summary>Instructions executed, calls of helpers one each, 64-bit constants one each.</summary>
    public long ExecutedInstructions { get; } = executed;

    /// <summary>The packet's mark afterwards; 0 for XDP programs.</summary>
    public uint Mark { get; } = mark;

    /// <summary>The packet as the program left it; valid until the interpreter runs the next one.</summary>
    public ReadOnlySpan<byte> Packet { get; } = packet;
}
