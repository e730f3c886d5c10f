using Skep.Bpf.Asm;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;
using Skep.Bpf.Verification;
using static Skep.Bpf.Asm.OpCodes;
using static Skep.Bpf.Asm.Register;

namespace Skep.KernelTests.Verification;

/// <summary>Programs that break one rule each: the kernel's own words must lead to the rule.</summary>
public class RejectionTests
{
    private static readonly HashMap<ulong, ulong> s_map = new(1, "values");

    private static readonly Dictionary<string, (string Rule, Action<Assembler> Body, ProgramType Type)> s_cases = new()
    {
        ["packet access without a comparison"] = ("DataEnd", a => a.Load(SizeW, R2, R1, 0).Load(SizeB, R0, R2, 0).Exit(), ProgramType.Xdp),
        ["map value without a test"] = ("may be null", a => Lookup(a).Load(SizeDw, R0, R0, 0).Exit(), ProgramType.Xdp),
        ["dereference of a number"] = ("Only pointers", a => a.Move(R1, 0).Load(SizeDw, R0, R1, 0).Exit(), ProgramType.Xdp),
        ["register never written"] = ("before it is read", a => a.MoveRegister(R0, R7).Exit(), ProgramType.Xdp),
        ["stack too deep"] = ("512 bytes", a => a.StoreImmediate(SizeDw, R10, -520, 0).Move(R0, 2).Exit(), ProgramType.Xdp),
        ["unbounded number added to a pointer"] = ("known upper and lower bound", a => Lookup(a)
            .Jump(Jeq, R0, 0, "out").Load(SizeDw, R3, R0, 0).AluRegister(Add, R0, R3).Load(SizeDw, R0, R0, 0).Label("out").Move(R0, 2).Exit(), ProgramType.Xdp),
        ["index beyond the map value"] = ("must lie inside", a => Lookup(a)
            .Jump(Jeq, R0, 0, "out").Load(SizeDw, R0, R0, 8).Label("out").Move(R0, 2).Exit(), ProgramType.Xdp),
        ["endless loop"] = ("A loop must end", a => a.Move(R0, 0).Label("again").Jump("again"), ProgramType.Xdp),
        ["unreachable code"] = ("must be reachable", a => a.Move(R0, 0).Exit().Move(R0, 1).Exit(), ProgramType.Xdp),
        ["no exit"] = ("end in an exit", a => a.Move(R0, 0), ProgramType.Xdp),
        ["unknown context field"] = ("fields of the context", a => a.Load(SizeDw, R0, R1, 400).Exit(), ProgramType.Xdp),
        ["helper of another program type"] = ("does not have the helper", a => a.Call(44).Exit(), ProgramType.SocketFilter),
        ["verdict out of range"] = ("verdict must be one", a => a.Move(R0, 77).Exit(), ProgramType.CgroupSkb),
        ["number instead of a map"] = ("certain kinds of pointers", a => a.Move(R1, 0).Move(R2, 0).Call(1).Move(R0, 0).Exit(), ProgramType.Xdp),
    };

    public static TheoryData<string> Cases => [.. s_cases.Keys];

    [KernelTheory]
    [MemberData(nameof(Cases))]
    public void Is_explained(string name)
    {
        var (rule, body, type) = s_cases[name];
        var assembler = new Assembler().Line("Broken.cs", 5, "the broken line");
        body(assembler);

        var rejection = Assert.Throws<VerifierException>(() => ProgramLoader.Load(assembler.Build("broken", type)));

        Assert.True(rejection.Rule?.Contains(rule, StringComparison.Ordinal) == true, $"'{rejection.Complaint}' is taken for '{rejection.Rule}'\n{rejection.Log}");
        Assert.NotEmpty(rejection.Mend!);
        Assert.NotEmpty(rejection.Log);
        if (rejection.Slot is not null)
        {
            Assert.Equal(5, rejection.Position!.Value.Line);
        }
    }

    [KernelFact]
    public void A_GPL_helper_in_a_proprietary_program_is_explained()
    {
        var code = new Assembler().MoveRegister(R1, R10).Alu(Add, R1, -8).Move(R2, 8).Move(R3, 0).Call(113).Move(R0, 0).Exit();
        var spec = new ProgramSpec { Name = "secret", Type = ProgramType.Xdp, License = "Proprietary", Instructions = code.Instructions() };

        Assert.Contains("GPL", Assert.Throws<VerifierException>(() => ProgramLoader.Load(spec)).Rule);
    }

    private static Assembler Lookup(Assembler assembler) => assembler
        .StoreImmediate(SizeDw, R10, -8, 0).LoadMap(R1, s_map).MoveRegister(R2, R10).Alu(Add, R2, -8).Call(1);
}
