namespace Skep.Bpf.Twin.Interpretation;

/// <summary>
/// A program did what the kernel's verifier would have refused: an access outside its memory, an unknown instruction or helper, a run without end.
/// </summary>
public sealed class InterpreterFaultException : Exception
{
    internal InterpreterFaultException(string program, int slot, string instruction, string reason, string position)
        : base($"'{program}' at slot {slot}{position}: {instruction}: {reason}")
    {
        Slot = slot;
        Instruction = instruction;
        Reason = reason;
    }

    /// <summary>Slot of the instruction.</summary>
    public int Slot { get; }

    /// <summary>The instruction as the disassembler writes it.</summary>
    public string Instruction { get; }

    /// <summary>What it did wrong.</summary>
    public string Reason { get; }
}
