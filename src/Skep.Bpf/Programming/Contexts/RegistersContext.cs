namespace Skep.Bpf.Programming;

/// <summary>
/// Registers of the task at a probe (<c>struct pt_regs</c> of x86-64, arch/x86/include/asm/ptrace.h).
/// In the kernel this is the context pointer; in the process its fields are plain memory.
/// </summary>
[KernelContext("pt_regs")]
public struct RegistersContext
{
    /// <summary>First argument of the function (rdi).</summary>
    public ulong Argument0 { [ContextField(112, 8)] get; init; }

    /// <summary>Second argument (rsi).</summary>
    public ulong Argument1 { [ContextField(104, 8)] get; init; }

    /// <summary>Third argument (rdx).</summary>
    public ulong Argument2 { [ContextField(96, 8)] get; init; }

    /// <summary>Fourth argument (rcx).</summary>
    public ulong Argument3 { [ContextField(88, 8)] get; init; }

    /// <summary>Fifth argument (r8).</summary>
    public ulong Argument4 { [ContextField(72, 8)] get; init; }

    /// <summary>Sixth argument (r9).</summary>
    public ulong Argument5 { [ContextField(64, 8)] get; init; }

    /// <summary>What the function returned, for probes of its return (rax).</summary>
    public ulong Result { [ContextField(80, 8)] get; init; }

    /// <summary>Address of the instruction (rip).</summary>
    public ulong InstructionPointer { [ContextField(128, 8)] get; init; }

    /// <summary>Stack pointer (rsp).</summary>
    public ulong StackPointer { [ContextField(152, 8)] get; init; }

    /// <summary>Frame pointer (rbp).</summary>
    public ulong FramePointer { [ContextField(32, 8)] get; init; }

    /// <summary>In the kernel: the 64-bit word at eight times <paramref name="index"/> of <c>struct pt_regs</c>; the index is a constant.</summary>
    [ContextField(0, 8)]
    public readonly ulong Word(uint index) => index switch
    {
        4 => FramePointer, 8 => Argument5, 9 => Argument4, 10 => Result, 11 => Argument3, 12 => Argument2, 13 => Argument1, 14 => Argument0,
        16 => InstructionPointer, 19 => StackPointer,
        _ => throw KernelEnvironment.NotInTwin("a register without a name of its own"),
    };
}
