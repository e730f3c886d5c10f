using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using static Skep.Bpf.Asm.OpCodes;
using static Skep.Bpf.Asm.Register;

namespace Skep.KernelTests.Surroundings;

/// <summary>Counts UDP datagrams over IPv4 and gives a verdict about them; everything else passes.</summary>
internal static class DatagramProgram
{
    public static ProgramSpec Xdp(string name, Global<ulong> counter, int verdict) => Build(name, ProgramType.Xdp, 0, counter, verdict, 2);

    public static ProgramSpec Tc(string name, Global<ulong> counter, int verdict) => Build(name, ProgramType.SchedCls, 76, counter, verdict, -1);

    private static ProgramSpec Build(string name, ProgramType type, short dataOffset, Global<ulong> counter, int verdict, int pass) =>
        new Assembler()
            .Load(SizeW, R2, R1, dataOffset)
            .Load(SizeW, R3, R1, (short)(dataOffset + 4))
            .Move(R0, pass)
            .MoveRegister(R4, R2)
            .Alu(Add, R4, 42)
            .JumpRegister(Jgt, R4, R3, "out")
            .Load(SizeH, R5, R2, 12)
            .Jump(Jne, R5, 0x0008, "out")
            .Load(SizeB, R5, R2, 23)
            .Jump(Jne, R5, 17, "out")
            .LoadMapValue(R1, counter)
            .Move(R2, 1)
            .Atomic(SizeDw, AtomicAdd, R1, 0, R2)
            .Move(R0, verdict)
            .Label("out")
            .Exit()
            .Build(name, type);
}
