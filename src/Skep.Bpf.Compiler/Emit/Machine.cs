using Skep.Bpf.Asm;
using Skep.Bpf.Compiler.Analyses;
using Skep.Bpf.Compiler.Ir;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>Kinds of machine instructions; they differ in which registers they read and write.</summary>
internal enum MachineKind : byte
{
    /// <summary>dst = src or immediate.</summary>
    Move,

    /// <summary>dst op= src or immediate.</summary>
    Alu,

    /// <summary>dst op= nothing: negation, byte swap.</summary>
    Unary,

    /// <summary>dst = 64-bit immediate, map or map value.</summary>
    Wide,

    /// <summary>dst = address on the stack: frame pointer plus the slot's offset.</summary>
    StackAddress,

    /// <summary>dst = 1 if the condition holds between src and src2 or immediate, else 0.</summary>
    Set,

    Load,
    Store,
    Atomic,
    Call,

    /// <summary>
    /// A jump to what follows, which the kernel takes out again once it has verified the program: the verifier compares its states where jumps lead to, so that a path goes on no
    /// further than here when another has been as far in the same state.
    /// </summary>
    Checkpoint,
    Jump,
    JumpIf,
    Exit,
}

/// <summary>One instruction over virtual registers. Registers 0 to 10 are the real ones.</summary>
internal sealed class MachineInstruction(MachineKind kind)
{
    public const int None = -1;

    public MachineKind Kind { get; set; } = kind;

    /// <summary>eBPF opcode; for <see cref="MachineKind.Set"/> that of the conditional jump.</summary>
    public byte Code { get; set; }

    public int Dst { get; set; } = None;

    /// <summary>Second register, or <see cref="None"/> when the immediate is meant.</summary>
    public int Src { get; set; } = None;

    /// <summary>The right operand of <see cref="MachineKind.Set"/>.</summary>
    public int Src2 { get; set; } = None;

    public short Offset { get; set; }

    public long Immediate { get; set; }

    /// <summary>The stack slot whose frame offset is to be added.</summary>
    public Node? Slot { get; set; }

    /// <summary>The stack slots whose addresses a call gets; while it runs all of them are in use.</summary>
    public IReadOnlyList<Node> Slots { get; set; } = [];

    public BpfMap? Map { get; set; }

    public bool IsMapValue { get; set; }

    /// <summary>32-bit arithmetic whose result is the same, upper half included, when it is done with 64 bits.</summary>
    public bool StaysInHalf { get; init; }

    /// <summary>The function that is called, or whose address is loaded.</summary>
    public Function? Function { get; set; }

    /// <summary>Name of the kernel function that is called; null for other calls.</summary>
    public string? KernelFunction { get; init; }

    /// <summary>Number of argument registers a call reads.</summary>
    public int Arguments { get; set; }

    public MachineBlock? Target { get; set; }

    /// <summary>How likely a conditional jump is taken.</summary>
    public double Chance { get; set; } = 0.5;

    /// <summary>A conditional jump that is not to be turned round: what follows it is the way out of a long loop, <see cref="LongLoops"/> says why.</summary>
    public bool IsFixed { get; init; }

    public SourcePosition Position { get; set; }

    public bool HasRegisterSource => (Code & OpCodes.SourceRegister) != 0;

    public bool IsCopy => Kind == MachineKind.Move && Src != None && Code == (OpCodes.ClassAlu64 | OpCodes.Mov | OpCodes.SourceRegister) && Offset == 0;

    public void CollectUses(Row<int> uses)
    {
        switch (Kind)
        {
            case MachineKind.Move:
            case MachineKind.Load:
                Add(Src);
                break;
            case MachineKind.Alu:
            case MachineKind.Store:
            case MachineKind.JumpIf:
                Add(Dst);
                Add(Src);
                break;
            case MachineKind.Unary:
                Add(Dst);
                break;
            case MachineKind.Set:
                Add(Src);
                Add(Src2);
                break;
            case MachineKind.Atomic:
                Add(Dst);
                Add(Src);
                if (Immediate == OpCodes.AtomicCmpXchg)
                {
                    uses.Add(0);
                }

                break;
            case MachineKind.Call:
                for (var i = 1; i <= Arguments; i++)
                {
                    uses.Add(i);
                }

                break;
            case MachineKind.Exit:
                uses.Add(0);
                break;
        }

        void Add(int register)
        {
            if (register is not None and not 10)
            {
                uses.Add(register);
            }
        }
    }

    public void CollectDefinitions(Row<int> definitions)
    {
        switch (Kind)
        {
            case MachineKind.Move or MachineKind.Alu or MachineKind.Unary or MachineKind.Wide or MachineKind.StackAddress or MachineKind.Set or MachineKind.Load:
                definitions.Add(Dst);
                break;
            case MachineKind.Atomic when Immediate == OpCodes.AtomicCmpXchg:
                definitions.Add(0);
                break;
            case MachineKind.Atomic when (Immediate & OpCodes.AtomicFetch) != 0:
                definitions.Add(Src);
                break;
            case MachineKind.Call:
                for (var i = 0; i <= 5; i++)
                {
                    definitions.Add(i);
                }

                break;
        }
    }

    public void Rename(int from, int to)
    {
        Dst = Dst == from ? to : Dst;
        Src = Src == from ? to : Src;
        Src2 = Src2 == from ? to : Src2;
    }
}

/// <summary>A basic block of machine instructions.</summary>
internal sealed class MachineBlock(int id)
{
    /// <summary>Its place among the function's blocks.</summary>
    public int Id { get; } = id;

    public Row<MachineInstruction> Code { get; set; } = [];

    public Row<MachineBlock> Successors { get; } = [];

    public int LoopDepth { get; set; }
}

/// <summary>A function of machine instructions.</summary>
internal sealed class MachineFunction
{
    /// <summary>Registers below this one are real.</summary>
    public const int FirstVirtual = 11;

    public Row<MachineBlock> Blocks { get; } = [];

    public int RegisterCount { get; set; } = FirstVirtual;

    /// <summary>Stack slots and their frame offsets (negative), filled by the stack layout.</summary>
    public Dictionary<Node, int> Frame { get; } = [];

    /// <summary>Slots whose address is kept in a register.</summary>
    public HashSet<Node> Pinned { get; } = [];

    /// <summary>Four-byte slots of which the verifier need not know the value; see <see cref="StackLayout"/>.</summary>
    public HashSet<Node> Vague { get; } = [];

    public int FrameSize { get; set; }

    /// <summary>The instruction set level the code is for.</summary>
    public int IsaLevel { get; init; }

    /// <summary>The function has a <c>may_goto</c>, for which the kernel keeps a count and a time in the frame.</summary>
    public bool MayLoop { get; set; }

    public int NewRegister() => RegisterCount++;
}
